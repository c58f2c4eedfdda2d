"""How a backbone and a head become one model, and what of the backbone trains.

In every model of this kind the layer ``backbone`` is the network that was pretrained, and the output of the layer
``features`` is where it ends:

    body = keras.Model(model.input, model.get_layer(FEATURES).output)
    head = keras.Model(model.get_layer(FEATURES).output, model.output)
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import keras
from keras import layers

from wbc.backbones import applications, efficientnet_lite
from wbc.backbones.preprocessing import Mode, preprocess
from wbc.models.heads import classify
from wbc.models.params import BackboneParams

BACKBONE, FEATURES = "backbone", "features"


class Backbone(NamedTuple):
    """What builds a backbone from ``size`` and ``pretrained``, and the preprocessing that its weights expect."""

    build: Callable[..., keras.Model]
    preprocessing: Mode


BACKBONES = {
    **{name: Backbone(partial(efficientnet_lite.build_backbone, name), "torch") for name in efficientnet_lite.SIZES},
    **{
        name: Backbone(partial(applications.build_backbone, name), application.preprocessing)
        for name, application in applications.APPLICATIONS.items()
    },
}


def build(
    name: str, *, image_shape: tuple[int, int, int], classes: int, params: BackboneParams, pretrained: Path | None
) -> keras.Model:
    """Return the network from uint8 RGB images (batch, *image_shape) to probabilities (batch, classes).

    ``name`` is a key of BACKBONES, ``pretrained`` a file of weights for it. Raises ValueError when it does not fit.
    """
    backbone = BACKBONES[name]
    image = keras.Input(image_shape, dtype="uint8", name="image")
    return assemble(
        name,
        image=image,
        preprocessed=preprocess(image, mode=backbone.preprocessing, size=params.input),
        backbone=backbone.build(size=params.input, pretrained=pretrained),
        classes=classes,
        params=params,
        pretrained=pretrained is not None,
    )


def assemble(
    name: str,
    *,
    image: keras.KerasTensor,
    preprocessed: keras.KerasTensor,
    backbone: keras.Model,
    classes: int,
    params: BackboneParams,
    pretrained: bool,
) -> keras.Model:
    """Return the model ``name`` from ``image`` through ``preprocessed``, the ``backbone`` and a head to probabilities.

    ``params.trainable`` says what of the backbone trains, ``pretrained`` whether it has its weights from elsewhere.
    """
    backbone.name = BACKBONE
    set_trainable(backbone, trainable=params.trainable, pretrained=pretrained)
    features = layers.Identity(name=FEATURES)(backbone(preprocessed))
    return keras.Model(image, classify(features, classes=classes, params=params), name=name)


def set_trainable(backbone: keras.Model, *, trainable: str, pretrained: bool) -> None:
    """Freeze all layers of ``backbone`` but those that ``trainable`` names; "last N" counts layers with weights.

    Batch normalisation is not counted. It trains, and its statistics move, with "all" and "only batch norm"; else it
    keeps what it learnt from ImageNet, which a few small batches would spoil. Without ``pretrained`` it has learnt
    nothing and trains too, except with "none". Raises ValueError when there are fewer than N layers.
    """
    weighted = [layer for layer in backbone.layers if layer.weights]
    normalising = [layer for layer in weighted if isinstance(layer, layers.BatchNormalization)]
    others = [layer for layer in weighted if layer not in normalising]
    if trainable.startswith("last"):
        last = int(trainable.removeprefix("last "))
        if last > len(others):
            raise ValueError(f"trainable: {trainable}: there are {len(others)} layers with weights, set it to all")
        chosen = others[-last:]
    else:
        chosen = others if trainable.startswith("all") else []
    for layer in others:
        layer.trainable = layer in chosen
    for layer in normalising:
        layer.trainable = trainable in ("all", "only batch norm") or not (pretrained or trainable == "none")
    if trainable == "none":
        _silence(backbone)


def _silence(backbone: keras.Model) -> None:
    """Let ``backbone`` compute in training what it computes at inference.

    Keras passes the ``training`` of the whole model on to nested ones, even to one that was called with False.
    """
    for layer in backbone.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0
