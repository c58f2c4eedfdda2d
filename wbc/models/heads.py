"""Heads: from a backbone's features to probabilities."""

import keras
from keras import layers

from wbc.models.params import BackboneParams


def classify(features: keras.KerasTensor, *, classes: int, params: BackboneParams) -> keras.KerasTensor:
    """Return float32 probabilities (batch, classes) of ``features`` (batch, height, width, channels).

    ``params.head`` is ``linear``: one dense layer on the mean over all places; ``pooled``: the same behind dropout;
    ``flatten_dense``: the pyramid on every place of the ResNet50 study, three times batch normalisation, dense and
    dropout, then batch normalisation and dense. ``params.l2`` weighs on every dense kernel.
    """
    penalty = keras.regularizers.L2(params.l2)
    if params.head == "flatten_dense":
        tensor = layers.Flatten(name="flatten")(features)
        for number, units in enumerate((256, 128, 64)):
            tensor = layers.BatchNormalization(name=f"norm{number}")(tensor)
            tensor = layers.Dense(units, activation="relu", kernel_regularizer=penalty, name=f"dense{number}")(tensor)
            tensor = layers.Dropout(params.dropout, name=f"dropout{number}")(tensor)
        tensor = layers.BatchNormalization(name="norm3")(tensor)
    else:
        tensor = layers.GlobalAveragePooling2D(name="pooled")(features)
        if params.head == "pooled":
            tensor = layers.Dropout(params.dropout, name="dropout")(tensor)
    return layers.Dense(
        classes, activation="softmax", kernel_regularizer=penalty, dtype="float32", name="probabilities"
    )(tensor)
