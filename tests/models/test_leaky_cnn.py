import keras
import numpy as np
import pytest

from wbc.models.leaky_cnn import build
from wbc.models.params import ScratchParams


def params(**changes):
    return ScratchParams.model_validate(
        {
            "input": (80, 80),
            "weights": "random",
            "dropout": 0.25,
            "l2": 0.0,
            "optimizer": "adam",
            "learning_rate": 0.001,
            "batch_size": 32,
            "epochs": 1,
        }
        | changes
    )


def test_number_of_parameters_is_the_published_one():
    assert build(image_shape=(80, 80, 3), classes=5, params=params()).count_params() == 291_173


def test_a_negative_response_leaks_a_tenth():
    model = build(image_shape=(80, 80, 3), classes=5, params=params())
    leaky = [layer for layer in model.layers if isinstance(layer, keras.layers.LeakyReLU)]
    assert [float(layer(np.float32([-1]))[0]) for layer in leaky] == pytest.approx([-0.1] * 4)


def test_dropout_is_before_and_after_the_first_dense_layer():
    model = build(image_shape=(80, 80, 3), classes=5, params=params(dropout=0.4))
    around = [type(layer).__name__ for layer in model.layers[-6:]]
    assert around == ["Flatten", "Dropout", "Dense", "LeakyReLU", "Dropout", "Dense"]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.4, 0.4]


def test_penalty_is_on_the_first_dense_layer():
    model = build(image_shape=(80, 80, 3), classes=5, params=params(l2=0.5))
    kernel = model.get_layer("dense").kernel.numpy()
    assert float(sum(model.losses)) == pytest.approx(0.5 * (kernel**2).sum(), rel=1e-5)


def test_smallest_input_still_builds():
    build(image_shape=(80, 80, 3), classes=5, params=params(input=(32, 32)))


def test_what_it_sees_is_centred():
    normalise = build(image_shape=(80, 80, 3), classes=4, params=params()).get_layer("normalise")
    assert normalise(np.array([0, 255])).numpy().tolist() == pytest.approx([-1, 1], abs=1e-6)
