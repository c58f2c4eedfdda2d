"""Small networks that stand in for backbones."""

from collections.abc import Callable

import keras
import pytest
from keras import layers


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
