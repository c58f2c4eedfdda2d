"""The backbones of keras.applications, each with the preprocessing that its ImageNet weights expect."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import keras
from keras import applications

from wbc.backbones.preprocessing import Mode
from wbc.backbones.weights import load_weights


class Application(NamedTuple):
    """A constructor of keras.applications, its preprocessing, and the layer that follows any preprocessing of its own.

    Keras normalises inside EfficientNetB0, but as the weights expect only when it loads them from its hosting itself.
    """

    construct: Callable[..., keras.Model]
    preprocessing: Mode
    entry: str | None = None


APPLICATIONS = {
    "vgg16": Application(applications.VGG16, "caffe"),
    "resnet50": Application(applications.ResNet50, "caffe"),
    "resnet152": Application(applications.ResNet152, "caffe"),
    "inceptionv3": Application(applications.InceptionV3, "tf"),
    "efficientnetb0": Application(applications.EfficientNetB0, "torch", entry="stem_conv_pad"),
    "efficientnetv2b0": Application(partial(applications.EfficientNetV2B0, include_preprocessing=False), "torch"),
    "mobilenetv3": Application(partial(applications.MobileNetV3Large, include_preprocessing=False), "tf"),
    "convnext_tiny": Application(partial(applications.ConvNeXtTiny, include_preprocessing=False), "torch"),
}


def build_backbone(name: str, *, size: tuple[int, int], pretrained: Path | None) -> keras.Model:
    """Return the network from preprocessed images (batch, *size, 3) to features (batch, height, width, channels).

    ``pretrained`` is Keras' file without the ImageNet classifier, or one of the same layers. Raises ValueError when it
    does not fit.
    """
    application = APPLICATIONS[name]
    network = application.construct(include_top=False, weights=None, input_shape=(*size, 3))
    if pretrained is not None:
        load_weights(network, pretrained)
    entry = network.get_layer(application.entry).input if application.entry else network.input
    return keras.Model(entry, network.output)
