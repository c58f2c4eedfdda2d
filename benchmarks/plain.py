"""Keras as a reader of its guide would use it: what our training is measured against."""

from collections.abc import Callable

import keras
import numpy as np
from numpy.typing import NDArray

from wbc.models.params import ModelParams
from wbc.train.params import TrainParams
from wbc.train.schedule import learning_rate


def compile_model(model: keras.Model, *, model_params: ModelParams, train_params: TrainParams) -> None:
    """Give ``model`` what ours is trained with by default: Adam and cross-entropy, not compiled by XLA."""
    model.compile(
        optimizer=keras.optimizers.Adam(model_params.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=train_params.label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,
    )


def one_hot(labels: NDArray[np.integer], *, classes: int) -> NDArray[np.float32]:
    """Return ``labels`` (images,) as (images, classes)."""
    return np.eye(classes, dtype=np.float32)[labels]


def our_schedule(*, model_params: ModelParams, train_params: TrainParams) -> Callable[[int], float]:
    """Return the learning rate of our training as a function of the epoch, counted from 0."""
    peak, epochs = model_params.learning_rate, model_params.epochs
    return lambda epoch: learning_rate(epoch, peak=peak, epochs=epochs, params=train_params)
