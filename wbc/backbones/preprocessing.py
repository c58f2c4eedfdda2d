"""Preprocessing inside a network: what pretrained weights expect of an image, from layers and operations of Keras."""

from typing import Literal

import keras
import numpy as np
from keras import layers, ops

from wbc.backbones.resizing import resize_in_network

# Mean and standard deviation of ImageNet's red, green and blue, as shares of full scale.
MEAN = np.array([0.485, 0.456, 0.406])
DEVIATION = np.array([0.229, 0.224, 0.225])

Mode = Literal["torch", "tf", "caffe"]

# Scale and offset, of all channels or of red, green and blue.
SCALES = {
    "torch": ((1 / (255 * DEVIATION)).tolist(), (-MEAN / DEVIATION).tolist()),
    "tf": (1 / 127.5, -1.0),
    "caffe": (1.0, [-123.68, -116.779, -103.939]),
}


def preprocess(image: keras.KerasTensor, *, mode: Mode, size: tuple[int, int]) -> keras.KerasTensor:
    """Return the 0..255 RGB ``image`` normalised as ``mode`` says and resized to ``size``, height and width.

    The modes are those of keras.applications: torch standardises each channel by ImageNet's statistics, tf maps to
    -1..1, caffe subtracts ImageNet's mean and turns RGB into BGR.
    """
    scale, offset = SCALES[mode]
    normalised = layers.Rescaling(scale, offset, name="normalise")(image)
    if mode == "caffe":
        normalised = ops.flip(normalised, axis=-1)
    return resize_in_network(normalised, size=size)
