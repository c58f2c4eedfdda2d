"""Trains a classifier epoch by epoch, so that a killed training goes on from its last whole epoch to the same bytes."""

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from wbc.base.draws import generator
from wbc.data.arrays import Image
from wbc.inference.ensemble import average, networks_of
from wbc.models.params import ModelParams
from wbc.models.registry import build_model
from wbc.train.checkpoints import Arrays, load_checkpoint, save_checkpoint
from wbc.train.features import extract_features, split_at_features
from wbc.train.fused import FusedAdam, fuse_penalties
from wbc.train.orientations import count_orientations, orient
from wbc.train.params import TrainParams

HISTORY = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # one-hot labels and probabilities (batch, classes) to (batch,)

CHECKPOINT_SECONDS = 30.0  # that a killed training loses at most, besides the epoch that it was in

_SEEDS_APART = 1000  # the seeds of the networks of one model, so that runs of neighbouring seeds share none
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


_LOSSES: dict[str, Callable[[float], Loss]] = {
    "cross_entropy": lambda smoothing: keras.losses.CategoricalCrossentropy(label_smoothing=smoothing),
    # Lin et al. 2017
    "focal": lambda smoothing: keras.losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=2.0, label_smoothing=smoothing
    ),
    "generalised_cross_entropy": generalised_cross_entropy,
}


class Examples(NamedTuple):
    """Images, uint8 (images, height, width, 3), or their float32 features, and the class index (examples,) of some.

    Example i is the image at ``positions[i]``; the array of images may be memory-mapped and is read batch by batch.
    """

    images: NDArray[Any]
    positions: NDArray[np.integer]
    labels: NDArray[np.integer]


class Trained(NamedTuple):
    """The model at its best epoch, one row of HISTORY for each epoch from 1, and what the clock said.

    Of several networks the epochs follow one another, and the model has each of them at its own best epoch.
    """

    model: keras.Model
    history: pd.DataFrame
    best_epoch: int
    validation: dict[str, float]  # the model's loss and accuracy on the validation part
    resumed_epochs: int
    images_per_second: float


class Phase(NamedTuple):
    """A stretch of the training: what learns, from what, for how long and how fast, and where its state is kept."""

    learner: keras.Model
    training: Examples
    validation: Examples
    epochs: int  # at most
    learning_rate: float  # after the warm-up
    flips: bool
    checkpoint: Path


class Progress(NamedTuple):
    """How far a training has come: its history, how many epochs of it an earlier try left, seconds of the others."""

    history: pd.DataFrame
    resumed: int
    seconds: float


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
        _compile_to_score(trained[0].model, params=train_params)
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
    _compile_to_score(model, params=params)
    history = pd.concat([one.history for one in trained], ignore_index=True)
    speeds = [one.images_per_second for one in trained if one.images_per_second]  # 0: resumed as a whole
    history["epoch"] = np.arange(1, len(history) + 1)
    return Trained(
        model,
        history,
        best_epoch(history),
        _validate(model, validation, batch_size=batch_size),
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
    for phase in _phases(model, training, validation, checkpoint, model_params=model_params, params=params):
        _compile(phase.learner, optimizer=model_params.optimizer, params=params)
        progress = _run_phase(
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


def _phases(
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


def _run_phase(
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
    weights = _class_weights(phase.training.labels, classes=classes) if params.class_weights else None
    if weights and set(weights.values()) == {1.0}:
        print("note: train.class_weights changes nothing, for the classes are of the same size", file=sys.stderr)
    started, kept = time.perf_counter(), -math.inf
    over = _is_over(history, since=since, last=last, patience=params.patience)
    while not over:
        epoch = len(history)
        rate = learning_rate(epoch - since, peak=phase.learning_rate, epochs=phase.epochs, params=params)
        phase.learner.optimizer.learning_rate = rate
        fitted = _fit_epoch(
            phase,
            epoch=epoch,
            title=f"epoch {epoch + 1}/{last}",
            batch_size=batch_size,
            mixup=params.mixup,
            class_weights=weights,
            seed=seed,
        )
        with _averaged_weights(phase.learner) if params.averaging else nullcontext():
            checked = _validate(phase.learner, phase.validation, batch_size=batch_size)
            row = [epoch + 1, fitted["loss"], fitted["accuracy"], checked["loss"], checked["accuracy"], rate]
            history = pd.concat([history, pd.DataFrame([row], columns=HISTORY)], ignore_index=True)
            if best_epoch(history) == epoch + 1:
                best = phase.learner.get_weights()
        over = _is_over(history, since=since, last=last, patience=params.patience)
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


def describe(trained: Trained) -> dict[str, Any]:
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


def best_epoch(history: pd.DataFrame) -> int:
    """Return the first epoch, counted from 1, with the lowest validation loss."""
    return int(history["epoch"].iloc[int(history["val_loss"].argmin())])


def learning_rate(epoch: int, *, peak: float, epochs: int, params: TrainParams) -> float:
    """Return the learning rate of an epoch of a phase, counted from 0: a linear rise to ``peak``, then the schedule.

    The schedule is constant or half a cosine (Loshchilov & Hutter 2017).
    """
    if epoch < params.warm_up:
        return peak * (epoch + 1) / (params.warm_up + 1)
    if params.schedule == "constant":
        return peak
    progress = (epoch - params.warm_up) / max(epochs - params.warm_up, 1)
    return peak * (1 + math.cos(math.pi * progress)) / 2


def describe_devices(*, threads: int) -> str:
    """Say what TensorFlow computes on: its graphics cards by name, or so many ``threads`` of the processor."""
    cards = [tf.config.experimental.get_device_details(card) for card in tf.config.list_physical_devices("GPU")]
    if cards:
        return "GPU: " + ", ".join(card.get("device_name", "unnamed") for card in cards)
    return f"no GPU, {threads} thread{'s' if threads > 1 else ''}"


def _compile(model: keras.Model, *, optimizer: str, params: TrainParams) -> None:
    """Give ``model`` its optimizer and its loss."""
    accumulate = params.accumulate if params.accumulate > 1 else None
    average = {"use_ema": True, "ema_momentum": params.averaging} if params.averaging else {}
    model.compile(
        optimizer=_OPTIMIZERS[optimizer](
            gradient_accumulation_steps=accumulate, **average
        ),  # the rate is set in each epoch
        loss=_LOSSES[params.loss](params.label_smoothing),
        metrics=["accuracy"],
        jit_compile=False,  # compiling takes longer than it saves on a processor
    )
    fuse_penalties(model)
    model.optimizer.build(model.trainable_variables)


def _compile_to_score(model: keras.Model, *, params: TrainParams) -> None:
    """Give ``model`` its loss, and in place of its optimizer, which a file would ask this project for, Keras' own."""
    model.compile(loss=_LOSSES[params.loss](params.label_smoothing), metrics=["accuracy"])


@contextmanager
def _averaged_weights(model: keras.Model) -> Iterator[None]:
    """Lend ``model`` the running mean of its weights (Polyak & Juditsky 1992), which its optimizer keeps."""
    weights = model.get_weights()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    yield
    model.set_weights(weights)


def _class_weights(labels: NDArray[np.integer], *, classes: int) -> dict[int, float]:
    """Return the weight of each class so that every class weighs the same and the mean over images is 1."""
    counts = np.bincount(labels, minlength=classes)
    return {index: len(labels) / (classes * max(int(count), 1)) for index, count in enumerate(counts)}


def _fit_epoch(
    phase: Phase,
    *,
    epoch: int,
    title: str,
    batch_size: int,
    mixup: float,
    class_weights: dict[int, float] | None,
    seed: int,
) -> dict[str, float]:
    """Show every image once, in the order of (seed, epoch), and return the mean loss and accuracy."""
    order = generator(seed, "order", epoch).permutation(len(phase.training.labels))
    draws = generator(seed, "views", epoch)
    batches = _batches(phase.training, order=order, size=batch_size, classes=phase.learner.output_shape[-1])
    total: Counter[str] = Counter()
    with tqdm(total=len(order), desc=title, unit="image", leave=False, disable=None) as bar:
        for images, targets in batches:
            if phase.flips:
                images = orient(images, positions=draws.integers(count_orientations(images), size=len(images)))
            if mixup:
                images, targets = mix(images, targets, alpha=mixup, draws=draws)
            logs = phase.learner.train_on_batch(images, targets, class_weight=class_weights, return_dict=True)
            total.update({name: len(images) * float(value) for name, value in logs.items()})
            bar.update(len(images))
            bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
    return {name: value / len(order) for name, value in total.items()}


def mix(
    images: Image, targets: NDArray[np.float32], *, alpha: float, draws: np.random.Generator
) -> tuple[Image, NDArray[np.float32]]:
    """Return a batch blended with itself in another order, images and labels by one share (mixup, Zhang et al. 2018).

    ``images`` is uint8 (batch, height, width, 3), ``targets`` (batch, classes); the share is from Beta(alpha, alpha).
    """
    share = np.float32(draws.beta(alpha, alpha))
    partners = draws.permutation(len(images))
    blended = share * images + (1 - share) * images[partners].astype(np.float32)
    return np.rint(blended).astype(np.uint8), share * targets + (1 - share) * targets[partners]


def _validate(model: keras.Model, examples: Examples, *, batch_size: int) -> dict[str, float]:
    """Return the mean loss and accuracy over ``examples``."""
    total: Counter[str] = Counter()
    order = np.arange(len(examples.labels))
    for images, targets in _batches(examples, order=order, size=batch_size, classes=model.output_shape[-1]):
        logs = model.test_on_batch(images, targets, return_dict=True)
        total.update({name: len(images) * float(value) for name, value in logs.items()})
    return {name: value / len(order) for name, value in total.items()}


def _batches(
    examples: Examples, *, order: NDArray[np.int64], size: int, classes: int
) -> Iterator[tuple[Image, NDArray[np.float32]]]:
    """Yield images (batch, height, width, 3) and one-hot labels (batch, classes) in ``order``."""
    one_hot = np.eye(classes, dtype=np.float32)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield np.asarray(examples.images[examples.positions[chosen]]), one_hot[examples.labels[chosen]]


def _is_over(history: pd.DataFrame, *, since: int, last: int, patience: int | None) -> bool:
    """Tell whether epoch ``last`` is done, or ``patience`` epochs without a better one, of those after ``since``."""
    if len(history) >= last:
        return True
    if patience is None or len(history) == since:
        return False
    return len(history) - max(best_epoch(history), since) >= patience


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
