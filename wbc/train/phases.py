"""A stretch of a training, which a killed one takes up where its checkpoint left it."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from wbc.models.params import ModelParams
from wbc.train.checkpoints import Arrays, load_checkpoint, save_checkpoint
from wbc.train.epochs import averaged_weights, fit_epoch, validate, weigh_classes
from wbc.train.features import extract_features, split_at_features
from wbc.train.params import TrainParams
from wbc.train.schedule import is_over, learning_rate
from wbc.train.state import HISTORY, Examples, Phase, Progress, best_epoch


def plan_phases(
    model: keras.Model,
    training: Examples,
    validation: Examples,
    checkpoint: Path,
    *,
    model_params: ModelParams,
    params: TrainParams,
) -> Iterator[Phase]:
    """Yield the phases in turn: the head on kept features, the whole model on images, or one after the other."""
    parts = split_at_features(model)
    frozen = parts is not None and not parts.body.trainable_weights and not params.mixup
    if parts and (frozen or params.probe_epochs):
        yield Phase(
            parts.head,
            _through(parts.body, training, path=checkpoint.with_name("training.npy")),
            _through(parts.body, validation, path=checkpoint.with_name("validation.npy")),
            epochs=model_params.epochs if frozen else params.probe_epochs,
            learning_rate=model_params.learning_rate if frozen else params.probe_learning_rate,
            flips=False,
            checkpoint=checkpoint if frozen else checkpoint.with_name("probe.npz"),
        )
    if not frozen:
        yield Phase(
            model,
            training,
            validation,
            epochs=model_params.epochs,
            learning_rate=model_params.learning_rate,
            flips=params.flips,
            checkpoint=checkpoint,
        )


def _through(body: keras.Model, examples: Examples, *, path: Path) -> Examples:
    """Return the features of ``examples`` in place of their images, kept at ``path``."""
    features = extract_features(body, examples.images, positions=examples.positions, path=path)
    return Examples(features, np.arange(len(features)), examples.labels)


def run_phase(
    phase: Phase,
    progress: Progress,
    *,
    batch_size: int,
    params: TrainParams,
    board: tf.summary.SummaryWriter,
    seed: int,
    checkpoint_seconds: float,
) -> Progress:
    """Go through ``phase``, from its checkpoint if there is one, and leave its learner at the best epoch so far."""
    since = len(progress.history)
    history, best = _restore(phase, progress.history)
    resumed, last = len(history) - since, since + phase.epochs
    if resumed:
        print(f"goes on after {len(history)} of {last} epochs", file=sys.stderr)
    classes = phase.learner.output_shape[-1]
    weights = weigh_classes(phase.training.labels, classes=classes) if params.class_weights else None
    if weights and set(weights.values()) == {1.0}:
        print("note: train.class_weights changes nothing, for the classes are of the same size", file=sys.stderr)
    started, kept = time.perf_counter(), -math.inf
    over = is_over(history, since=since, last=last, patience=params.patience)
    while not over:
        epoch = len(history)
        rate = learning_rate(epoch - since, peak=phase.learning_rate, epochs=phase.epochs, params=params)
        phase.learner.optimizer.learning_rate = rate
        fitted = fit_epoch(
            phase,
            epoch=epoch,
            title=f"epoch {epoch + 1}/{last}",
            batch_size=batch_size,
            mixup=params.mixup,
            class_weights=weights,
            seed=seed,
        )
        with averaged_weights(phase.learner) if params.averaging else nullcontext():
            checked = validate(phase.learner, phase.validation, batch_size=batch_size)
            row = [epoch + 1, fitted["loss"], fitted["accuracy"], checked["loss"], checked["accuracy"], rate]
            history = pd.concat([history, pd.DataFrame([row], columns=HISTORY)], ignore_index=True)
            if best_epoch(history) == epoch + 1:
                best = phase.learner.get_weights()
        over = is_over(history, since=since, last=last, patience=params.patience)
        if over or time.perf_counter() - kept >= checkpoint_seconds:
            save_checkpoint(phase.checkpoint, _state(phase.learner, history=history, best=best))
            kept = time.perf_counter()
        _report(row, epochs=last)
        with board.as_default(step=epoch + 1):
            for metric, value in zip(HISTORY[1:], row[1:], strict=True):
                tf.summary.scalar(metric, value)
    seconds = time.perf_counter() - started
    phase.learner.set_weights(best)
    return Progress(history, progress.resumed + resumed, progress.seconds + seconds)


def _state(model: keras.Model, *, history: pd.DataFrame, best: list[np.ndarray]) -> Arrays:
    """Return all that the next epoch depends on: weights, states of dropout, optimizer, history, best weights."""
    variables = [np.asarray(variable) for variable in [*model.variables, *model.optimizer.variables]]
    arrays = {f"variable.{index}": value for index, value in enumerate(variables)}
    arrays |= {f"best.{index}": value for index, value in enumerate(best)}
    return arrays | {"history": history.to_numpy(dtype=np.float64)}


def _restore(phase: Phase, history: pd.DataFrame) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Bring the learner to the state kept by an earlier try; return its history and its best weights.

    Without such a state these are the ``history`` so far and the weights as they are.
    """
    arrays = load_checkpoint(phase.checkpoint)
    if arrays is None:
        return history, phase.learner.get_weights()
    for index, variable in enumerate([*phase.learner.variables, *phase.learner.optimizer.variables]):
        variable.assign(arrays[f"variable.{index}"])
    best = [arrays[f"best.{index}"] for index in range(len(phase.learner.weights))]
    return pd.DataFrame(arrays["history"], columns=HISTORY), best


def _report(row: list[float], *, epochs: int) -> None:
    epoch, loss, accuracy, val_loss, val_accuracy, rate = row
    print(
        f"epoch {epoch:.0f}/{epochs}: loss {loss:.3f}, accuracy {accuracy:.3f}; "
        f"validation loss {val_loss:.3f}, accuracy {val_accuracy:.3f}; learning rate {rate:.2g}",
        file=sys.stderr,
    )
