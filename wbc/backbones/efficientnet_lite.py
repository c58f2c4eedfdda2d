"""EfficientNet-Lite: EfficientNet (Tan & Le 2019) without squeeze-and-excitation and with ReLU6, made for small CPUs.

Layers bear the names of the PyTorch port that the pretrained weights come from, without its leading underscores.
"""

import math
from pathlib import Path
from typing import NamedTuple

import keras
from keras import layers

from wbc.backbones.weights import load_tensors, load_weights

# Expansion, channels, repeats, stride of the first repeat, kernel size.
BLOCKS = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


class Size(NamedTuple):
    """Factors of BLOCKS: of the channels, and of the repeats of all but the first and the last."""

    width: float
    depth: float


SIZES = {
    "efficientnet_lite0": Size(width=1.0, depth=1.0),
    "efficientnet_lite1": Size(width=1.0, depth=1.1),
    "efficientnet_lite2": Size(width=1.1, depth=1.2),
}


def build_backbone(name: str, *, size: tuple[int, int], pretrained: Path | None) -> keras.Model:
    """Return the network from preprocessed images (batch, *size, 3) to features (batch, height / 32, width / 32, 1280).

    ``name`` is a key of SIZES, ``pretrained`` a weights.npz of wbc.tools.packaged or an HDF5 file of Keras. Raises
    ValueError when it does not fit. The sizes 0, 1 and 2 have 3,413,024, 4,189,344 and 4,869,168 parameters.
    """
    image = keras.Input((*size, 3))
    tensor = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="conv_stem")(image)
    tensor = _normalise(tensor, "bn0", activate=True)
    for number, (expansion, channels, stride, kernel) in enumerate(_scaled_blocks(SIZES[name])):
        tensor = _block(
            tensor, f"blocks.{number}", expansion=expansion, channels=channels, stride=stride, kernel=kernel
        )
    tensor = layers.Conv2D(1280, 1, use_bias=False, name="conv_head")(tensor)
    network = keras.Model(image, _normalise(tensor, "bn1", activate=True))
    if pretrained is not None:
        (load_tensors if pretrained.suffix == ".npz" else load_weights)(network, pretrained)
    return network


def _scaled_blocks(size: Size) -> list[tuple[int, int, int, int]]:
    """Return expansion, channels, stride and kernel size of each block in turn."""
    blocks = []
    for stage, (expansion, channels, repeats, stride, kernel) in enumerate(BLOCKS):
        at_an_end = stage in (0, len(BLOCKS) - 1)
        for repeat in range(repeats if at_an_end else math.ceil(size.depth * repeats)):
            blocks.append((expansion, _round_channels(size.width * channels), stride if repeat == 0 else 1, kernel))
    return blocks


def _round_channels(channels: float) -> int:
    """Return the multiple of 8 nearest to ``channels``, the next one where it would fall short by more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _block(
    tensor: keras.KerasTensor, name: str, *, expansion: int, channels: int, stride: int, kernel: int
) -> keras.KerasTensor:
    """Inverted residual (Sandler et al. 2018): expand, filter each channel, project, add the input where it fits."""
    entry = tensor
    if expansion > 1:
        tensor = layers.Conv2D(expansion * entry.shape[-1], 1, use_bias=False, name=f"{name}.expand_conv")(tensor)
        tensor = _normalise(tensor, f"{name}.bn0", activate=True)
    tensor = layers.DepthwiseConv2D(
        kernel, strides=stride, padding="same", use_bias=False, name=f"{name}.depthwise_conv"
    )(tensor)
    tensor = _normalise(tensor, f"{name}.bn1", activate=True)
    tensor = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}.project_conv")(tensor)
    tensor = _normalise(tensor, f"{name}.bn2", activate=False)
    return layers.Add(name=f"{name}.add")([entry, tensor]) if entry.shape == tensor.shape else tensor


def _normalise(tensor: keras.KerasTensor, name: str, *, activate: bool) -> keras.KerasTensor:
    tensor = layers.BatchNormalization(epsilon=1e-3, name=name)(tensor)
    return layers.ReLU(max_value=6.0, name=f"{name}.relu6")(tensor) if activate else tensor
