"""Every model by its name in params.yaml."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras

from wbc.models import alexnet, backbone, compact_cnn, custom, leaky_cnn
from wbc.models.params import ModelParams

# Both kinds of builders take ``image_shape``, ``classes`` and ``params``, backbones also ``pretrained``.
FROM_SCRATCH: dict[str, Callable[..., keras.Model]] = {
    "alexnet": alexnet.build,
    "compact_cnn": compact_cnn.build,
    "leaky_cnn": leaky_cnn.build,
    "custom": custom.build,
}
WITH_BACKBONE: dict[str, Callable[..., keras.Model]] = {
    name: partial(backbone.build, name) for name in backbone.BACKBONES
}


def build_model(
    name: str, *, image_shape: tuple[int, int, int], classes: int, params: ModelParams, pretrained: Path | None
) -> keras.Model:
    """Return the network from uint8 RGB images (batch, *image_shape) to float32 probabilities (batch, classes).

    Resizing to ``params.input`` and normalisation are layers of the model, and all that it is made of is Keras' own.
    ``pretrained`` is the file of wbc.weights.pretrained, None for random weights. Raises ValueError where it does not
    fit.
    """
    if name in WITH_BACKBONE:
        return WITH_BACKBONE[name](image_shape=image_shape, classes=classes, params=params, pretrained=pretrained)
    if pretrained is not None:
        raise ValueError(f"{name} takes no pretrained weights, {pretrained} must not be there")
    return FROM_SCRATCH[name](image_shape=image_shape, classes=classes, params=params)
