"""Parameters of backbones, and small networks that stand in for them."""

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from wbc.models.params import BackboneParams


@pytest.fixture(scope="session")
def backbone_params() -> Callable[..., BackboneParams]:
    def params(**changes: Any) -> BackboneParams:
        block = {
            "input": (64, 64),
            "weights": "imagenet",
            "head": "pooled",
            "trainable": "all but batch norm",
            "dropout": 0.3,
            "l2": 0.01,
            "optimizer": "adam",
            "learning_rate": 0.001,
            "batch_size": 4,
            "epochs": 1,
        }
        return BackboneParams.model_validate(block | changes)

    return params


@pytest.fixture
def small_backbone() -> Callable[..., keras.Model]:
    def network(*, channels: int = 4) -> keras.Model:
        """Return two convolutions, each before its batch normalisation: 112 + 16 + 148 + 16 parameters."""
        image = keras.Input((8, 8, 3))
        tensor = layers.Conv2D(4, 3, name="conv0")(image)
        tensor = layers.BatchNormalization(name="norm0")(tensor)
        tensor = layers.Dropout(0.5, noise_shape=(None, 1, 1, 1))(tensor)
        tensor = layers.Conv2D(channels, 3, activation="relu", name="conv1")(tensor)
        return keras.Model(image, layers.BatchNormalization(name="norm1")(tensor))

    return network
