"""A head on a frozen backbone: our kept features against Keras' fit through the backbone, from memory and from JPEGs.

The fourth side is the bound of Keras: one pass through the backbone and the head's own steps on features in memory, no
more. Its Adam and its penalties are Keras' own, as those of fit are; ours are fused and may go below it.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import cv2
import keras
import numpy as np
import typer

from benchmarks.cells import CLASSES, draw_cells
from benchmarks.measure import Measured, measure, print_machine, print_table
from benchmarks.plain import compile_model, one_hot, our_schedule
from wbc.base.params import read_section
from wbc.inference.determinism import make_deterministic
from wbc.models.params import ModelParams, read_model
from wbc.models.registry import build_model
from wbc.train.features import Parts, split_at_features
from wbc.train.params import TrainParams
from wbc.train.state import Examples
from wbc.train.training import train

SEED = 1
PARTS = ("training", "validation")


class Task(NamedTuple):
    """What every side does: train ``model_name`` on the images in ``folder``."""

    folder: Path
    model_name: str
    model_params: ModelParams
    train_params: TrainParams
    threads: int


class Fitted(NamedTuple):
    """The best validation accuracy of all epochs and that of the last, and the seconds of each part of the work."""

    best: float
    last: float
    parts: dict[str, float]


class Fit(NamedTuple):
    """A way to train with Keras' fit, and how many epochs of it are run."""

    name: str
    epochs: int
    function: Callable[[Task], Fitted]


def main(
    images: Annotated[int, typer.Option(help="training images")] = 1000,
    validation: Annotated[int, typer.Option(help="validation images")] = 200,
    epochs: Annotated[int, typer.Option(help="epochs of the head's training")] = 25,
    fit_epochs: Annotated[
        int | None, typer.Option(help="epochs of fit from memory to scale from; else all", min=2)
    ] = None,
    jpeg_epochs: Annotated[
        int | None, typer.Option(help="epochs of fit from JPEG folders to scale from; else all", min=2)
    ] = None,
    model: Annotated[str, typer.Option(help="a frozen model of params.yaml")] = "resnet50",
    side: Annotated[int, typer.Option(help="px of the square image")] = 128,
    threads: Annotated[int, typer.Option(help="of TensorFlow")] = 2,
) -> None:
    """Print seconds, peak memory and validation accuracy of each side. The backbone's weights are random."""
    print_machine("tensorflow", "keras", "numpy")
    model_params = read_model(model).model_copy(update={"input": (side, side), "epochs": epochs})
    train_params = read_section(TrainParams, "train").model_copy(update={"views": 1, "patience": None, "flips": False})
    with tempfile.TemporaryDirectory() as folder:
        task = Task(Path(folder), model, model_params, train_params, threads)
        for seed, (part, count) in enumerate(zip(PARTS, (images, validation), strict=True)):
            write_images(task.folder / part, count=count, side=side, seed=seed)
        bound = measure(head_alone, task=task)
        ours = measure(kept_features, task=task)
        fits = [
            Fit("fit from memory", fit_epochs or epochs, fit_from_memory),
            Fit("fit from JPEG folders", jpeg_epochs or epochs, fit_from_jpegs),
        ]
        measured = [
            measure(
                fit.function,
                task=task._replace(model_params=model_params.model_copy(update={"epochs": fit.epochs})),
            )
            for fit in fits
        ]
    report(bound=bound, ours=ours, fits=dict(zip(fits, measured, strict=True)), epochs=epochs)


def write_images(folder: Path, *, count: int, side: int, seed: int) -> None:
    """Draw ``count`` cells, as one images.npy and labels.npy and as one JPEG each in a folder of its class."""
    cells = draw_cells(np.arange(count) % len(CLASSES), side=side, seed=seed)
    for name in CLASSES:
        (folder / "jpeg" / name).mkdir(parents=True)
    np.save(folder / "images.npy", cells.images)
    np.save(folder / "labels.npy", cells.labels)
    for number, (image, label) in enumerate(zip(cells.images, cells.labels, strict=True)):
        path = folder / "jpeg" / CLASSES[label] / f"{number:05d}.jpg"
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])


def kept_features(task: Task) -> Fitted:
    """Train as the stage does: the backbone runs once, its features are mapped from a file, checkpoints are written."""
    make_deterministic(seed=SEED, threads=task.threads)
    training, validation = (_read(task.folder / part, mapped=True) for part in PARTS)
    history = train(
        training,
        validation,
        classes=len(CLASSES),
        model_name=task.model_name,
        model_params=task.model_params,
        train_params=task.train_params,
        pretrained=None,
        checkpoint=task.folder / "checkpoint" / "state.npz",
        tensorboard=None,
        seed=SEED,
    ).history
    return Fitted(history["val_accuracy"].max(), history["val_accuracy"].iloc[-1], {})


def fit_from_memory(task: Task) -> Fitted:
    """Keras' fit of the whole model on arrays in memory, through the frozen backbone in every epoch."""
    make_deterministic(seed=SEED, threads=task.threads)
    training, validation = (_read(task.folder / part, mapped=False) for part in PARTS)
    classes = len(CLASSES)
    return _fit(
        task,
        x=training.images,
        y=one_hot(training.labels, classes=classes),
        validation_data=(validation.images, one_hot(validation.labels, classes=classes)),
        batch_size=task.model_params.batch_size,
    )


def fit_from_jpegs(task: Task) -> Fitted:
    """The same, with every JPEG read and decoded in every epoch by the ImageDataGenerator of the original studies."""
    import tensorflow as tf

    make_deterministic(seed=SEED, threads=task.threads)
    training, validation = (
        tf.keras.preprocessing.image.ImageDataGenerator().flow_from_directory(
            task.folder / part / "jpeg",
            target_size=task.model_params.input,
            batch_size=task.model_params.batch_size,
            shuffle=part == "training",
            seed=SEED,
        )
        for part in PARTS
    )
    return _fit(task, x=training, validation_data=validation)


def _fit(task: Task, **data: Any) -> Fitted:
    model = _build(task)
    compile_model(model, model_params=task.model_params, train_params=task.train_params)
    schedule = our_schedule(model_params=task.model_params, train_params=task.train_params)
    ends: list[float] = []
    callbacks = [
        keras.callbacks.LearningRateScheduler(schedule),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())),
    ]
    history = model.fit(**data, epochs=task.model_params.epochs, callbacks=callbacks, verbose=0).history
    accuracies = history["val_accuracy"]
    return Fitted(max(accuracies), accuracies[-1], {"epoch": float(np.median(np.diff(ends)))})


def head_alone(task: Task) -> Fitted:
    """What no training of this head by Keras' means can do without: one pass through the backbone, the head's steps."""
    make_deterministic(seed=SEED, threads=task.threads)
    training, validation = (_read(task.folder / part, mapped=False) for part in PARTS)
    model = _build(task)
    frozen = split_at_features(model)
    if frozen is None or frozen.body.trainable_weights:
        raise ValueError(f"{task.model_name} is not frozen: choose a model with trainable: none")
    compile_model(frozen.head, model_params=task.model_params, train_params=task.train_params)
    schedule = our_schedule(model_params=task.model_params, train_params=task.train_params)
    size = task.model_params.batch_size
    clock = Clock()

    batches, held_out = (_pass_through(frozen, examples, size=size) for examples in (training, validation))
    clock.stop("backbone once")
    accuracies = []
    for epoch in range(task.model_params.epochs):
        frozen.head.optimizer.learning_rate = schedule(epoch)
        for features, targets in batches:
            frozen.head.train_on_batch(features, targets)
        clock.stop("head's steps")
        hits = [
            len(features) * float(frozen.head.test_on_batch(features, targets, return_dict=True)["accuracy"])
            for features, targets in held_out
        ]
        accuracies.append(sum(hits) / len(validation.labels))
        clock.stop("validation")
    return Fitted(max(accuracies), accuracies[-1], clock.seconds)


class Clock:
    """Seconds of each part of a piece of work; a part ends where it is named and the next one begins."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def stop(self, part: str) -> None:
        """Add the time since the last stop to ``part``."""
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now


def _pass_through(frozen: Parts, examples: Examples, *, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return batches of ``size`` features and their one-hot labels, in one random order for all epochs."""
    order = np.random.default_rng(SEED).permutation(len(examples.labels))
    targets = one_hot(examples.labels, classes=len(CLASSES))
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return [(frozen.body.predict_on_batch(examples.images[part]), targets[part]) for part in parts]


def _build(task: Task) -> keras.Model:
    side = task.model_params.input
    return build_model(
        task.model_name,
        image_shape=(*side, 3),
        classes=len(CLASSES),
        params=task.model_params,
        pretrained=None,
    )


def _read(folder: Path, *, mapped: bool) -> Examples:
    images, labels = (
        np.load(folder / name, mmap_mode="r" if mapped else None) for name in ("images.npy", "labels.npy")
    )
    return Examples(images, np.arange(len(labels)), labels)


def report(*, bound: Measured, ours: Measured, fits: dict[Fit, Measured], epochs: int) -> None:
    """Print a row for each side, its seconds as multiples of ours, and below the parts of the bound."""
    sides = [("bound: the head alone", bound, epochs), ("ours: wbc.train.training.train", ours, epochs)]
    sides += [(fit.name, side, fit.epochs) for fit, side in fits.items()]
    rows = []
    for name, side, run in sides:
        total = side.seconds + (epochs - run) * side.result.parts.get("epoch", 0.0)
        accuracies = [f"{value:.3f}" if run == epochs else "-" for value in (side.result.best, side.result.last)]
        rows.append([name, f"{total:.1f}", f"{total / ours.seconds:.2f}", *accuracies, str(side.peak), str(side.grown)])
    header = ["", "seconds", "of ours", "best val. accuracy", "last", "peak MiB", "above start"]
    print_table(header=header, rows=rows)
    for fit in fits:
        if fit.epochs < epochs:
            print(f"{fit.name} ran {fit.epochs} of {epochs} epochs; the seconds of the others are the median of one")
    parts = ", ".join(f"{name} {value:.1f} s" for name, value in bound.result.parts.items())
    print(f"bound: {parts}; ours takes {ours.seconds / bound.seconds:.2f} times as long as the bound")


if __name__ == "__main__":
    typer.run(main)
