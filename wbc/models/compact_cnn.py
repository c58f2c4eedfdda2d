"""The compact CNN of the BCCD field: four small convolutions from scratch, 96,308 parameters at 120x160, 4 classes."""

from pathlib import Path

import keras
from keras import layers

from wbc.models.resizing import resize
from wbc.params.models import ModelParams


def build(
    *, image_shape: tuple[int, int, int], classes: int, params: ModelParams, pretrained: Path | None
) -> keras.Model:
    """Return the network from uint8 RGB images (batch, *image_shape) to probabilities (batch, classes).

    Raises ValueError when ``pretrained`` is given, for there are no weights, and for a ``params.input`` too small.
    """
    if pretrained is not None:
        raise ValueError("compact_cnn has no pretrained weights: set models.compact_cnn.weights to random")
    image = keras.Input(image_shape, dtype="uint8", name="image")
    tensor = resize(layers.Rescaling(1 / 255, name="normalise")(image), size=params.input)
    for number, channels in enumerate((8, 16, 16, 16)):
        tensor = layers.Conv2D(channels, 3, activation="relu", name=f"conv{number}")(tensor)
        if number < 3:
            tensor = layers.MaxPooling2D(2, name=f"pool{number}")(tensor)
    tensor = layers.Flatten(name="flatten")(tensor)
    tensor = layers.Dropout(params.dropout, name="dropout0")(tensor)
    penalty = keras.regularizers.L2(params.l2)
    tensor = layers.Dense(32, activation="relu", kernel_regularizer=penalty, name="dense")(tensor)
    tensor = layers.Dropout(params.dropout, name="dropout1")(tensor)
    probabilities = layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(tensor)
    return keras.Model(image, probabilities, name="compact_cnn")
