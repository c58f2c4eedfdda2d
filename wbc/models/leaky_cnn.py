"""The CNN with leaky ReLU of the blood_cells field, from scratch: 291,173 parameters at 80x80 with 5 classes."""

import keras
from keras import layers

from wbc.backbones.preprocessing import preprocess
from wbc.models.params import ScratchParams


def build(*, image_shape: tuple[int, int, int], classes: int, params: ScratchParams) -> keras.Model:
    """Return the network from uint8 RGB images (batch, *image_shape) to probabilities (batch, classes).

    ``params.l2`` is on the first dense layer.
    """
    image = keras.Input(image_shape, dtype="uint8", name="image")
    tensor = preprocess(image, mode="tf", size=params.input)
    for number, channels in enumerate((32, 32, 64)):
        tensor = layers.Conv2D(channels, 3, name=f"conv{number}")(tensor)
        tensor = layers.LeakyReLU(0.1, name=f"leaky{number}")(tensor)
        tensor = layers.MaxPooling2D(2, name=f"pool{number}")(tensor)
    tensor = layers.Dropout(params.dropout, name="dropout0")(layers.Flatten(name="flatten")(tensor))
    tensor = layers.Dense(64, kernel_regularizer=keras.regularizers.L2(params.l2), name="dense")(tensor)
    tensor = layers.LeakyReLU(0.1, name="leaky")(tensor)
    tensor = layers.Dropout(params.dropout, name="dropout1")(tensor)
    probabilities = layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(tensor)
    return keras.Model(image, probabilities, name="leaky_cnn")
