"""Resizing inside a network, so that the size of the stored images may differ from what the network sees."""

import keras
from keras import layers, ops


def resize_in_network(image: keras.KerasTensor, *, size: tuple[int, int]) -> keras.KerasTensor:
    """Return the float ``image`` (batch, height, width, channels) resized to ``size``, height and width.

    Bilinear; where that would skip pixels, whole blocks of them are averaged first. Keras' own antialiasing
    would do, but XLA, which Keras turns on for GPUs, cannot compile it. The layer Resizing would do, but all layers
    after it take a plain call of the model for training: dropout drops, batch normalisation learns.
    """
    block = tuple(max(1, side // wanted) for side, wanted in zip(image.shape[1:3], size, strict=True))
    if block != (1, 1):
        image = layers.AveragePooling2D(block, padding="same", name="average")(image)
    return image if image.shape[1:3] == size else ops.image.resize(image, size)
