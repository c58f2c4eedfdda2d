import keras
import numpy as np
import pytest

from wbc.models.alexnet import build, normalise_responses
from wbc.models.params import AlexNetParams


def params(**changes):
    return AlexNetParams.model_validate(
        {
            "input": (227, 227),
            "weights": "random",
            "dropout": 0.5,
            "l2": 0.0,
            "optimizer": "adam",
            "learning_rate": 0.0001,
            "batch_size": 32,
            "epochs": 1,
        }
        | changes
    )


def test_number_of_parameters_is_that_of_the_network_of_2012_in_one_tower():
    assert build(image_shape=(227, 227, 3), classes=1000, params=params()).count_params() == 62_378_344


def test_responses_are_divided_by_those_of_five_neighbours():
    responses = np.float32([[[[100, 0, 0, 50, 0, 200, 10]]]])
    channels = keras.Input((1, 1, 7))
    normalised = keras.Model(channels, normalise_responses(channels)).predict(responses, verbose=0)
    sums = np.array([10_000, 12_500, 12_500, 42_500, 42_600, 42_600, 40_100])
    expected = responses / (2 + 1e-4 * sums) ** 0.75
    np.testing.assert_allclose(normalised, expected.astype(np.float32), rtol=1e-5)


def test_dropout_is_before_each_hidden_dense_layer():
    model = build(image_shape=(67, 67, 3), classes=4, params=params(input=(67, 67)))
    end = [type(layer).__name__ for layer in model.layers[-6:]]
    assert end == ["Flatten", "Dropout", "Dense", "Dropout", "Dense", "Dense"]


def test_penalty_is_on_the_hidden_dense_layers():
    model = build(image_shape=(67, 67, 3), classes=4, params=params(input=(67, 67), l2=0.5))
    squares = sum((model.get_layer(name).kernel.numpy() ** 2).sum() for name in ("dense0", "dense1"))
    assert float(sum(model.losses)) == pytest.approx(0.5 * squares, rel=1e-4)


def test_smallest_input_still_builds():
    build(image_shape=(160, 160, 3), classes=4, params=params(input=(67, 67)))
