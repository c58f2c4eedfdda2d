"""EfficientNet-Lite0: EfficientNet (Tan & Le 2019) without squeeze-and-excitation and with ReLU6, made for small CPUs.

Layers bear the names of the PyTorch port that the pretrained weights come from, without its leading underscores.
"""

import re
from pathlib import Path

import keras
import numpy as np
from keras import layers

from wbc.models.resizing import resize
from wbc.params.models import ModelParams

# Mean and standard deviation of ImageNet's red, green and blue, as shares of full scale.
MEAN = np.array([0.485, 0.456, 0.406])
DEVIATION = np.array([0.229, 0.224, 0.225])

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

# A layer's tensors in the order of its Keras weights; in batch normalisation these are gamma, beta and the moments.
PARTS = ("weight", "bias", "running_mean", "running_var")


def build(
    *, image_shape: tuple[int, int, int], classes: int, params: ModelParams, pretrained: Path | None
) -> keras.Model:
    """Return the network from uint8 RGB images (batch, *image_shape) to probabilities (batch, classes).

    With ``pretrained``, a weights.npz of wbc.pretrained, every batch normalisation is frozen as a whole
    (``trainable = False``): it keeps its moving statistics and its scale and shift, as small data sets need.
    Raises ValueError when the weights do not fit.
    """
    image = keras.Input(image_shape, dtype="uint8", name="image")
    features = backbone(preprocess(image, size=params.input))
    if pretrained is not None:
        load_backbone(keras.Model(image, features), pretrained)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(features)
    probabilities = layers.Dense(
        classes,
        activation="softmax",
        kernel_regularizer=keras.regularizers.L2(params.l2),
        dtype="float32",
        name="probabilities",
    )(layers.Dropout(params.dropout, name="dropout")(pooled))
    return keras.Model(image, probabilities, name="efficientnet_lite0")


def preprocess(image: keras.KerasTensor, *, size: tuple[int, int]) -> keras.KerasTensor:
    """Return the 0..255 RGB ``image`` normalised by ImageNet's statistics and resized to ``size``, height and width."""
    scaled = layers.Rescaling(
        scale=(1 / (255 * DEVIATION)).tolist(), offset=(-MEAN / DEVIATION).tolist(), name="normalise"
    )(image)
    return resize(scaled, size=size)


def backbone(tensor: keras.KerasTensor) -> keras.KerasTensor:
    """Return the features (batch, height / 32, width / 32, 1280) of preprocessed images, 3,413,024 parameters."""
    tensor = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="conv_stem")(tensor)
    tensor = _normalise(tensor, "bn0", activate=True)
    strides = [
        (expansion, channels, stride if repeat == 0 else 1, kernel)
        for expansion, channels, repeats, stride, kernel in BLOCKS
        for repeat in range(repeats)
    ]
    for number, (expansion, channels, stride, kernel) in enumerate(strides):
        tensor = _block(
            tensor, f"blocks.{number}", expansion=expansion, channels=channels, stride=stride, kernel=kernel
        )
    tensor = layers.Conv2D(1280, 1, use_bias=False, name="conv_head")(tensor)
    return _normalise(tensor, "bn1", activate=True)


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


def load_backbone(model: keras.Model, pretrained: Path) -> None:
    """Set every weight of ``model``, made of ``backbone``, from weights.npz and freeze its batch normalisation.

    Raises ValueError unless tensors and layers match one to one; only the ImageNet classifier ``_fc`` is left over.
    """
    with np.load(pretrained) as file:
        tensors = {re.sub(r"(^|\.)_", r"\1", name): array for name, array in file.items()}
    unused = {name for name in tensors if not name.startswith("fc.")}
    for layer in model.layers:
        names = [name for part in PARTS if (name := f"{layer.name}.{part}") in unused]
        unused -= set(names)
        # Raises when there are more or fewer tensors than weights, or when a shape differs.
        layer.set_weights([_keras_order(tensors[name], layer) for name in names])
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    if unused:
        raise ValueError(f"{pretrained}: no layer for {', '.join(sorted(unused))}")


def _keras_order(tensor: np.ndarray, layer: keras.Layer) -> np.ndarray:
    """Return a kernel (out, in, height, width) as (height, width, in, out), a depthwise one as (…, out, in = 1)."""
    if tensor.ndim != 4:
        return tensor
    return tensor.transpose(2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else tensor.transpose(2, 3, 1, 0)
