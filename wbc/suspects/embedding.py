"""Describes images by what a network that learnt ImageNet sees in them, without any training."""

from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
from numpy.typing import NDArray

from wbc.data.arrays import Image
from wbc.train.features import extract_features
from wbc.backbones.efficientnet_lite import build_backbone
from wbc.backbones.preprocessing import preprocess
from wbc.weights.pretrained import bring_weights

_NETWORK = "efficientnet_lite0"  # its weights come with a package
_SIZE = (160, 160)  # px


def embed(images: Image, *, positions: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return the mean features (positions, 1280) of the uint8 RGB ``images`` (images, height, width, 3) there."""
    with TemporaryDirectory() as folder:
        body = build_embedder(images.shape[1:])
        return np.array(extract_features(body, images, positions=positions, path=Path(folder) / "features.npy"))


def build_embedder(shape: tuple[int, ...]) -> keras.Model:
    """Return the network from uint8 RGB images (batch, *shape) to their mean features (batch, 1280)."""
    image = keras.Input(shape, dtype="uint8")
    with TemporaryDirectory() as folder:
        bring_weights(Path(folder), model=_NETWORK, weights="imagenet")
        backbone = build_backbone(_NETWORK, size=_SIZE, pretrained=Path(folder) / "weights.npz")
    features = backbone(preprocess(image, mode="torch", size=_SIZE))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(features))
