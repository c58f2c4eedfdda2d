"""Every model by its name in params.yaml."""

from pathlib import Path
from typing import Protocol

import keras

from wbc.models import compact_cnn, efficientnet_lite
from wbc.params.models import ModelParams


class Builder(Protocol):
    """Builds a network from uint8 RGB images (batch, *image_shape) to float32 probabilities (batch, classes).

    Resizing to ``params.input`` and normalisation are layers of the model, all layers are Keras' own.
    ``pretrained`` is the weights.npz of wbc.pretrained, None for random weights.
    """

    def __call__(
        self, *, image_shape: tuple[int, int, int], classes: int, params: ModelParams, pretrained: Path | None
    ) -> keras.Model: ...


BUILDERS: dict[str, Builder] = {
    "efficientnet_lite0": efficientnet_lite.build,
    "compact_cnn": compact_cnn.build,
}
