"""Describes images by what a network that learnt ImageNet sees in them, without any training."""

from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
from numpy.typing import NDArray

from wbc.backbones.efficientnet_lite import build_backbone
from wbc.backbones.preprocessing import preprocess
from wbc.data.arrays import Image
from wbc.inference.inference import predict
from wbc.tools.packaged import write_weights

_NETWORK = "efficientnet_lite0"  # its weights come with a package
_SIZE = (160, 160)  # px


def embed(images: Image, *, positions: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return the mean features (positions, 1280) of the uint8 RGB ``images`` (images, height, width, 3) there."""
    return predict(build_embedder(images.shape[1:]), images, positions=positions)


def build_embedder(shape: tuple[int, ...]) -> keras.Model:
    """Return the network from uint8 RGB images (batch, *shape) to their mean features (batch, 1280)."""
    image = keras.Input(shape, dtype="uint8")
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.npz"
        write_weights(weights, model=_NETWORK)
        backbone = build_backbone(_NETWORK, size=_SIZE, pretrained=weights)
    features = backbone(preprocess(image, mode="torch", size=_SIZE))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(features))
