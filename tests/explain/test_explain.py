from collections.abc import Callable

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from wbc.explain.explain import choose_examples, explain, find_convolution, last_features
from wbc.inference.ensemble import average
from wbc.models.params import BackboneParams, CompactCnnParams
from wbc.models.registry import build_model
from wbc.train.calibration import scale_by_temperature

SIDE = 48
LEFT = (slice(0, SIDE), slice(0, SIDE // 3))
CLASSES = ["A", "B"]


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def left_third(tensor: keras.KerasTensor) -> keras.KerasTensor:
    """Return the sum of each channel over the left third of (batch, height, width, channels)."""
    return layers.Lambda(lambda values: keras.ops.sum(values[:, :, : values.shape[2] // 3], axis=(1, 2)))(tensor)


def set_head(model: keras.Model) -> keras.Model:
    """Let class A be what is bright, class B what is dark."""
    last = model.layers[-1]
    kernel, bias = last.get_weights()
    last.set_weights([np.tile([1e-4, -1e-4], (len(kernel), 1)), np.zeros_like(bias)])
    return model


def convolve(tensor: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Conv2D(4, 3, padding="same", kernel_initializer="ones", activation="relu")(tensor)


def flat() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    tensor = left_third(convolve(layers.Rescaling(1 / 255)(image)))
    return set_head(keras.Model(image, layers.Dense(2, activation="softmax")(tensor)))


def nested_and_frozen() -> keras.Model:
    inner = keras.Input((SIDE, SIDE, 3))
    backbone = keras.Model(inner, layers.MaxPooling2D(2)(convolve(inner)))
    backbone.trainable = False
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    tensor = left_third(backbone(layers.Rescaling(1 / 255)(image)))
    return set_head(keras.Model(image, layers.Dense(2, activation="softmax")(tensor)))


def sequential() -> keras.Model:
    return set_head(
        keras.Sequential(
            [
                keras.Input((SIDE, SIDE, 3), dtype="uint8"),
                layers.Rescaling(1 / 255),
                layers.Conv2D(4, 3, padding="same", kernel_initializer="ones", activation="relu"),
                layers.Cropping2D(((0, 0), (0, 2 * SIDE // 3))),
                layers.GlobalAveragePooling2D(),
                layers.Dense(2, activation="softmax"),
            ]
        )
    )


def without_convolution() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    tensor = left_third(layers.Rescaling(1 / 255)(image))
    return set_head(keras.Model(image, layers.Dense(2, activation="softmax")(tensor)))


@pytest.mark.parametrize(
    ("build", "method"),
    [
        (flat, "Grad-CAM"),
        (nested_and_frozen, "Grad-CAM"),
        (sequential, "Grad-CAM"),
        (without_convolution, "occlusion"),
        (lambda: average([flat(), nested_and_frozen()]), "Grad-CAM"),
        (lambda: average([without_convolution(), without_convolution()]), "occlusion"),
    ],
)
def test_the_map_lies_where_the_model_looks(build: Callable[[], keras.Model], method: str) -> None:
    pictures = images(1) // 8  # Grad-CAM weighs channels, not places: there must be less to see elsewhere
    pictures[0, :, : SIDE // 3] = 255
    explanation = explain(build(), pictures, classes=np.array([0]))
    assert explanation.method == method
    assert explanation.maps.shape == (1, SIDE, SIDE)
    assert explanation.maps.dtype == np.float32
    assert explanation.maps.min() >= 0
    assert explanation.maps.max() == 1
    assert explanation.maps[0][LEFT].sum() > 0.8 * explanation.maps[0].sum()


def test_a_temperature_changes_no_map() -> None:
    model, pictures = flat(), images(2)
    plain, scaled = (
        explain(chosen, pictures, classes=np.array([0, 0])) for chosen in (model, scale_by_temperature(model, 2.5))
    )
    assert scaled.method == "Grad-CAM"
    assert scaled.maps.max() == 1
    assert np.allclose(plain.maps, scaled.maps, atol=1e-4)


def test_what_speaks_against_a_class_is_not_on_its_map() -> None:
    for_bright, for_dark = (explain(flat(), images(1), classes=np.array([index])).maps for index in (0, 1))
    assert for_bright.max() == 1
    assert for_dark.max() == 0


def test_explaining_twice_gives_the_same_bytes() -> None:
    first, second = (explain(flat(), images(2), classes=np.array([0, 1])).maps.tobytes() for _ in range(2))
    assert first == second


def test_our_models_are_explained_by_their_last_convolution_and_features() -> None:
    compact = CompactCnnParams(
        input=(48, 48), weights="random", dropout=0, l2=0, optimizer="adam", learning_rate=0.1, batch_size=1, epochs=1
    )
    backbone = BackboneParams.model_validate(
        compact.model_dump() | {"input": (64, 64), "head": "pooled", "trainable": "all"}
    )
    found = {}
    for name, params in {"compact_cnn": compact, "efficientnet_lite0": backbone, "mobilenetv3": backbone}.items():
        model = build_model(name, image_shape=(SIDE, SIDE, 3), classes=3, params=params, pretrained=None)
        convolution = find_convolution(model)
        assert convolution is not None
        maps = explain(model, images(1), classes=np.array([2])).maps
        assert maps.shape == (1, SIDE, SIDE)
        found[name] = (convolution.layer.name, convolution.features.shape[1:3], last_features(model).output_shape[1])
    assert found == {
        "compact_cnn": ("conv3", (2, 2), 32),
        "efficientnet_lite0": ("backbone", (2, 2), 1280),
        "mobilenetv3": ("backbone", (2, 2), 960),
    }


def test_the_last_features_are_what_the_last_layer_with_weights_takes_in() -> None:
    image = keras.Input((4, 4, 3), dtype="uint8")
    hidden = layers.Dense(7, activation="relu")(layers.Flatten()(layers.Rescaling(1.0)(image)))
    model = keras.Model(image, layers.Softmax()(layers.Dense(2)(hidden)))
    features = last_features(model).predict(images(3)[:, :4, :4], verbose=0)
    assert features.shape == (3, 7)


def test_the_most_confident_right_and_wrong_examples_of_each_class_are_chosen() -> None:
    predictions = pd.DataFrame(
        [
            ("a1", "A", "A", 0.6),
            ("a2", "A", "A", 0.9),
            ("a3", "A", "A", 0.8),
            ("a4", "A", "B", 0.3),
            ("b2", "B", "B", 0.2),
            ("b1", "B", "B", 0.2),
            ("b3", "B", "B", 0.4),
        ],
        columns=["id", "truth", "prediction", "probability_A"],
    )
    predictions["probability_B"] = 1 - predictions["probability_A"]
    chosen = choose_examples(predictions, classes=CLASSES)
    assert chosen["id"].tolist() == ["a2", "a3", "a4", "b1", "b2"]
    assert chosen["right"].tolist() == [True, True, False, True, True]
    assert chosen["confidence"].tolist() == [0.9, 0.8, 0.7, 0.8, 0.8]
    assert chosen.index.tolist() == [1, 2, 3, 5, 4]
