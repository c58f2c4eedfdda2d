"""Losses and optimizers by their names in params.yaml."""

from collections.abc import Callable
from functools import partial

import keras
import tensorflow as tf

from wbc.train.fused import FusedAdam, fuse_penalties
from wbc.train.params import TrainParams

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # one-hot labels and probabilities (batch, classes) to (batch,)


_ROBUST = 0.7  # q of the generalised cross-entropy
_OPTIMIZERS = {
    "adam": FusedAdam,
    "adamw": partial(FusedAdam, weight_decay=0.004),  # which is all that keras.optimizers.AdamW adds
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}


def generalised_cross_entropy(smoothing: float) -> Loss:
    """Return the loss (1 - p^q) / q of the true class's probability p, with q 0.7 (Zhang & Sabuncu 2018).

    It minds wrong labels less than cross-entropy, which is its limit for q 0. With label ``smoothing``, a share, it is
    the mean over the classes, weighted by the smoothed label.
    """

    def loss(truth: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
        weights = truth * (1 - smoothing) + smoothing / truth.shape[-1]
        return tf.reduce_sum(weights * (1 - tf.pow(tf.maximum(probabilities, 1e-7), _ROBUST)) / _ROBUST, axis=-1)

    return loss


LOSSES: dict[str, Callable[[float], Loss]] = {
    "cross_entropy": lambda smoothing: keras.losses.CategoricalCrossentropy(label_smoothing=smoothing),
    # Lin et al. 2017
    "focal": lambda smoothing: keras.losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=2.0, label_smoothing=smoothing
    ),
    "generalised_cross_entropy": generalised_cross_entropy,
}


def compile_learner(model: keras.Model, *, optimizer: str, params: TrainParams) -> None:
    """Give ``model`` its optimizer and its loss."""
    accumulate = params.accumulate if params.accumulate > 1 else None
    average = {"use_ema": True, "ema_momentum": params.averaging} if params.averaging else {}
    model.compile(
        optimizer=_OPTIMIZERS[optimizer](
            gradient_accumulation_steps=accumulate, **average
        ),  # the rate is set in each epoch
        loss=LOSSES[params.loss](params.label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,  # compiling takes longer than it saves on a processor
    )
    fuse_penalties(model)
    model.optimizer.build(model.trainable_variables)


def compile_to_score(model: keras.Model, *, params: TrainParams) -> None:
    """Give ``model`` its loss, and in place of its optimizer, which a file would ask this project for, Keras' own."""
    model.compile(loss=LOSSES[params.loss](params.label_smoothing), metrics=["accuracy"])
