"""How a backbone and a head become one model, what of the backbone trains, and how its weights are loaded.

In every model of this kind the layer ``backbone`` is the network that was pretrained, and the output of the layer
``features`` is where it ends:

    body = keras.Model(model.input, model.get_layer(FEATURES).output)
    head = keras.Model(model.get_layer(FEATURES).output, model.output)
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from wbc.models.heads import classify
from wbc.models.params import BackboneParams

BACKBONE, FEATURES = "backbone", "features"


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
