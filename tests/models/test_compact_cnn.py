import keras
import numpy as np
import pytest

from wbc.models.compact_cnn import build
from wbc.models.params import CompactCnnParams


def params(**changes):
    return CompactCnnParams.model_validate(
        {
            "input": (120, 160),
            "weights": "random",
            "dropout": 0.25,
            "l2": 0.01,
            "optimizer": "rmsprop",
            "learning_rate": 0.001,
            "batch_size": 16,
            "epochs": 1,
        }
        | changes
    )


def test_number_of_parameters_is_the_published_one():
    assert build(image_shape=(120, 160, 3), classes=4, params=params()).count_params() == 96_308


def test_input_size_and_not_image_size_sets_the_number_of_parameters():
    assert build(image_shape=(480, 640, 3), classes=4, params=params()).count_params() == 96_308


def test_dropout_is_before_and_after_the_first_dense_layer():
    model = build(image_shape=(120, 160, 3), classes=4, params=params())
    around = [type(layer).__name__ for layer in model.layers[-5:]]
    assert around == ["Flatten", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.25, 0.25]


def test_penalty_is_on_the_first_dense_layer():
    model = build(image_shape=(120, 160, 3), classes=4, params=params(l2=0.5))
    kernel = model.get_layer("dense").kernel.numpy()
    assert float(sum(model.losses)) == pytest.approx(0.5 * (kernel**2).sum(), rel=1e-5)


def test_smallest_input_still_builds():
    build(image_shape=(120, 160, 3), classes=4, params=params(input=(38, 38)))


def test_what_it_sees_is_centred():
    normalise = build(image_shape=(120, 160, 3), classes=4, params=params()).get_layer("normalise")
    assert normalise(np.array([0, 255])).numpy().tolist() == pytest.approx([-1, 1], abs=1e-6)
