"""Puts weights from files into backbones: those of Keras, and tensors of PyTorch."""

import re
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

# A layer's tensors in the order of its Keras weights; in batch normalisation these are gamma, beta and the moments.
PARTS = ("weight", "bias", "running_mean", "running_var")


def load_weights(backbone: keras.Model, pretrained: Path) -> None:
    """Set every weight of ``backbone`` from an HDF5 file of Keras, ``.weights.h5`` or the older ``.h5``.

    Raises ValueError unless the file fits and holds all of them.
    """
    weights = [weight for weight in backbone.weights if "float" in weight.dtype]
    for weight in weights:
        weight.assign(np.full(weight.shape, np.nan))
    try:
        backbone.load_weights(pretrained)
    except ValueError as error:
        raise ValueError(f"{pretrained} does not fit this backbone: {error}") from error
    missing = [weight.path for weight in weights if ops.any(ops.isnan(weight))]
    if missing:
        raise ValueError(f"{pretrained} does not fit this backbone: nothing for {', '.join(missing)}")


def load_tensors(network: keras.Model, pretrained: Path) -> None:
    """Set every weight of ``network`` from weights.npz, tensors under PyTorch's names and in PyTorch's axis order.

    Raises ValueError unless tensors and layers match one to one; only the ImageNet classifier ``_fc`` is left over.
    """
    with np.load(pretrained) as file:
        tensors = {re.sub(r"(^|\.)_", r"\1", name): array for name, array in file.items()}
    unused = {name for name in tensors if not name.startswith("fc.")}
    for layer in network.layers:
        names = [name for part in PARTS if (name := f"{layer.name}.{part}") in unused]
        unused -= set(names)
        # Raises when there are more or fewer tensors than weights, or when a shape differs.
        layer.set_weights([_keras_order(tensors[name], layer) for name in names])
    if unused:
        raise ValueError(f"{pretrained}: no layer for {', '.join(sorted(unused))}")


def _keras_order(tensor: np.ndarray, layer: keras.Layer) -> np.ndarray:
    """Return a kernel (out, in, height, width) as (height, width, in, out), a depthwise one as (…, out, in = 1)."""
    if tensor.ndim != 4:
        return tensor
    return tensor.transpose(2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else tensor.transpose(2, 3, 1, 0)
