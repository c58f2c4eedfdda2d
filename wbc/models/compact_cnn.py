"""The compact CNN of the BCCD field: four small convolutions from scratch, 96,308 parameters at 120x160, 4 classes."""

import keras
from keras import layers

from wbc.backbones.preprocessing import preprocess
from wbc.models.params import CompactCnnParams


def build(*, image_shape: tuple[int, int, int], classes: int, params: CompactCnnParams) -> keras.Model:
    """Return the network from uint8 RGB images (batch, *image_shape) to probabilities (batch, classes)."""
    image = keras.Input(image_shape, dtype="uint8", name="image")
    tensor = preprocess(image, mode="tf", size=params.input)
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
