"""Several networks as one model, which gives the mean of their probabilities."""

from collections.abc import Sequence

import keras

_NAME = "network_"


def average(networks: Sequence[keras.Model]) -> keras.Model:
    """Return the model of the mean probabilities (batch, classes) of ``networks``, which take the same uint8 images.

    It shares their layers, and all that it is made of is Keras' own.
    """
    image = keras.Input(networks[0].input_shape[1:], dtype=networks[0].input.dtype)
    members = [
        keras.Model(network.inputs[0], network.outputs[0], name=f"{_NAME}{number}")
        for number, network in enumerate(networks, start=1)
    ]
    mean = keras.layers.Average(name="mean", dtype="float32")([member(image) for member in members])
    return keras.Model(image, mean, name=networks[0].name)


def networks_of(model: keras.Model) -> list[keras.Model]:
    """Return the networks that `average` made ``model`` of, itself if it is a single one."""
    members = [layer for layer in model.layers if isinstance(layer, keras.Model) and layer.name.startswith(_NAME)]
    return members or [model]
