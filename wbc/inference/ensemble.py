"""Several networks, or several looks of one, as one model, which gives the mean of their probabilities."""

from collections.abc import Sequence

import keras
from keras import ops

_NAME = "network_"


def average(networks: Sequence[keras.Model], *, views: int = 1) -> keras.Model:
    """Return the model of the mean probabilities (batch, classes) of ``networks``, which take the same uint8 images.

    With ``views`` each image is shown in so many orientations, the first of wbc.train.orientations: oblong ones have
    four. The model shares the layers of ``networks``, and all that it is made of is Keras' own.
    """
    image = keras.Input(networks[0].input_shape[1:], dtype=networks[0].input.dtype)
    seen = ops.concatenate([_orient(image, view) for view in range(views)], axis=0) if views > 1 else image
    members = [
        keras.Model(network.inputs[0], network.outputs[0], name=f"{_NAME}{number}")
        for number, network in enumerate(networks, start=1)
    ]
    mean = keras.layers.Average(name="mean_of_networks", dtype="float32")([member(seen) for member in members])
    if views > 1:
        mean = ops.mean(ops.reshape(mean, (views, -1, mean.shape[-1])), axis=0)
    return keras.Model(image, mean, name=networks[0].name)


def _orient(image: keras.KerasTensor, position: int) -> keras.KerasTensor:
    """Return ``image`` (batch, height, width, 3) in ``position``, numbered as in wbc.train.orientations."""
    axes = [axis for bit, axis in ((2, 1), (1, 2)) if position & bit]
    flipped = ops.flip(image, axis=axes) if axes else image
    return ops.transpose(flipped, (0, 2, 1, 3)) if position & 4 else flipped


def networks_of(model: keras.Model) -> list[keras.Model]:
    """Return the networks that `average` made ``model`` of, itself if it is a single one."""
    members = [layer for layer in model.layers if isinstance(layer, keras.Model) and layer.name.startswith(_NAME)]
    return members or [model]
