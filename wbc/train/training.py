"""Trains a classifier epoch by epoch, so that a killed training goes on from its last whole epoch to the same bytes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from wbc.inference.ensemble import average, networks_of
from wbc.models.params import ModelParams
from wbc.models.registry import build_model
from wbc.train.epochs import validate
from wbc.train.losses import compile_learner, compile_to_score
from wbc.train.params import TrainParams
from wbc.train.phases import plan_phases, run_phase
from wbc.train.state import HISTORY, Examples, Progress, Trained, best_epoch

CHECKPOINT_SECONDS = 30.0  # that a killed training loses at most, besides the epoch that it was in

_SEEDS_APART = 1000  # the seeds of the networks of one model, so that runs of neighbouring seeds share none


def train(
    training: Examples,
    validation: Examples,
    *,
    classes: int,
    model_name: str,
    model_params: ModelParams,
    train_params: TrainParams,
    pretrained: Path | None,
    checkpoint: Path,
    tensorboard: Path | None,
    seed: int,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Trained:
    """Train ``model_name`` and return it with the weights of the epoch of the lowest validation loss.

    With ``probe_epochs`` the head learns first, then all that is to be trained (Kumar et al. 2022). While the backbone
    stays as it is, it is run only once over the images as they are, without flips, and its features are kept.
    With ``networks`` as many are trained, each with draws of its own, and the model gives the mean of their
    probabilities (deep ensembles, Lakshminarayanan et al. 2017). With ``views`` so does each network over so many
    orientations of an image.
    Everything that the next epoch needs is written to ``checkpoint``, in the probing phase beside it, for further
    networks in folders below: after the first epoch and the last of a phase and whenever ``checkpoint_seconds`` have
    passed. A file found there is continued. What is shown depends on (seed, epoch) only, so that the moments do not
    matter to the result.
    ``tensorboard`` is a folder for TensorBoard's logs, None for none.
    Raises ValueError where all epochs have fewer batches than ``accumulate`` asks for: no weight would move.
    """
    _require_steps(len(training.labels), model_params=model_params, params=train_params)
    if train_params.mixed_precision and tf.config.list_physical_devices("GPU"):
        keras.mixed_precision.set_global_policy("mixed_float16")
    trained = []
    for number in range(train_params.networks):
        draws = seed + number * _SEEDS_APART
        if number:
            keras.utils.set_random_seed(draws)
        model = build_model(
            model_name,
            image_shape=training.images.shape[1:],
            classes=classes,
            params=model_params,
            pretrained=pretrained,
        )
        trained.append(
            _train_network(
                model,
                training,
                validation,
                model_params=model_params,
                params=train_params,
                checkpoint=checkpoint.parent / f"network-{number + 1}" / checkpoint.name if number else checkpoint,
                tensorboard=tensorboard / f"network-{number + 1}" if tensorboard and number else tensorboard,
                seed=draws,
                checkpoint_seconds=checkpoint_seconds,
            )
        )
    if len(trained) == train_params.views == 1:
        compile_to_score(trained[0].model, params=train_params)
        return trained[0]
    return _join(trained, validation, batch_size=model_params.batch_size, params=train_params)


def _require_steps(images: int, *, model_params: ModelParams, params: TrainParams) -> None:
    """Raise ValueError where a phase of the training of so many ``images`` would end before its first step."""
    epochs = min(model_params.epochs, params.probe_epochs or model_params.epochs)
    batches = epochs * math.ceil(images / model_params.batch_size)
    if params.accumulate > batches:
        raise ValueError(
            f"train.accumulate: {params.accumulate} batches are more than the {batches} of {epochs} epochs, so that no "
            f"weight would move: set it to at most {batches}, better to a few"
        )


def _join(trained: Sequence[Trained], validation: Examples, *, batch_size: int, params: TrainParams) -> Trained:
    """Return the networks as one, which looks at each image in as many orientations as ``params`` say."""
    model = average([one.model for one in trained], views=params.views)
    compile_to_score(model, params=params)
    history = pd.concat([one.history for one in trained], ignore_index=True)
    speeds = [one.images_per_second for one in trained if one.images_per_second]  # 0: resumed as a whole
    history["epoch"] = np.arange(1, len(history) + 1)
    return Trained(
        model,
        history,
        best_epoch(history),
        validate(model, validation, batch_size=batch_size),
        sum(one.resumed_epochs for one in trained),
        float(np.mean(speeds)) if speeds else 0.0,
    )


def _train_network(
    model: keras.Model,
    training: Examples,
    validation: Examples,
    *,
    model_params: ModelParams,
    params: TrainParams,
    checkpoint: Path,
    tensorboard: Path | None,
    seed: int,
    checkpoint_seconds: float,
) -> Trained:
    board = tf.summary.create_file_writer(str(tensorboard)) if tensorboard else tf.summary.create_noop_writer()
    progress = Progress(pd.DataFrame(columns=HISTORY, dtype=np.float64), resumed=0, seconds=0.0)
    for phase in plan_phases(model, training, validation, checkpoint, model_params=model_params, params=params):
        compile_learner(phase.learner, optimizer=model_params.optimizer, params=params)
        progress = run_phase(
            phase,
            progress,
            batch_size=model_params.batch_size,
            params=params,
            board=board,
            seed=seed,
            checkpoint_seconds=checkpoint_seconds,
        )
    history, resumed, seconds = progress
    seen = (len(history) - resumed) * len(training.labels)
    speed = seen / seconds if seen else 0.0
    history, best = history.astype({"epoch": int}), best_epoch(history)
    row = history[history["epoch"] == best].iloc[0]
    checked = {"loss": float(row["val_loss"]), "accuracy": float(row["val_accuracy"])}
    return Trained(model, history, best, checked, resumed, speed)


def describe_training(trained: Trained) -> dict[str, Any]:
    """Return what is worth keeping of a training, without anything that differs from run to run."""
    return {
        "networks": len(networks_of(trained.model)),
        "epochs": len(trained.history),
        "best_epoch": trained.best_epoch,
        "validation_loss": trained.validation["loss"],
        "validation_accuracy": trained.validation["accuracy"],
        "parameters": trained.model.count_params(),
        "trainable_parameters": sum(math.prod(weight.shape) for weight in trained.model.trainable_weights),
    }


def describe_devices(*, threads: int) -> str:
    """Say what TensorFlow computes on: its graphics cards by name, or so many ``threads`` of the processor."""
    cards = [tf.config.experimental.get_device_details(card) for card in tf.config.list_physical_devices("GPU")]
    if cards:
        return "GPU: " + ", ".join(card.get("device_name", "unnamed") for card in cards)
    return f"no GPU, {threads} thread{'s' if threads > 1 else ''}"
