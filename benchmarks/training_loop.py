"""Images per second of our training loop against a bare loop of train_on_batch on the same arrays in memory."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import typer

from benchmarks.cells import CLASSES, Cells, draw_cells
from benchmarks.measure import measure, print_machine, print_table
from benchmarks.plain import compile_model, one_hot
from benchmarks.recorder import between, epochs_of, recorded
from wbc.base.params import read_section
from wbc.inference.determinism import make_deterministic
from wbc.models.params import ModelParams, read_model
from wbc.models.registry import build_model
from wbc.train.params import TrainParams
from wbc.train.state import Examples
from wbc.train.training import train
from wbc.weights.pretrained import bring_weights

SEED = 1


def main(
    images: Annotated[int, typer.Option(help="training images")] = 480,
    epochs: Annotated[int, typer.Option(help="epochs of each run; the first is not counted", min=2)] = 4,
    runs: Annotated[int, typer.Option(help="of either side, in turn")] = 3,
    model: Annotated[str, typer.Option(help="a model of params.yaml")] = "efficientnet_lite0",
    side: Annotated[int, typer.Option(help="px of the square image")] = 160,
    threads: Annotated[int, typer.Option(help="of TensorFlow")] = 2,
) -> None:
    """Print images per second of either side: the median over the epochs of all runs but the first of each."""
    print_machine("tensorflow", "keras", "numpy")
    model_params = read_model(model).model_copy(update={"input": (side, side), "epochs": epochs})
    train_params = read_section(TrainParams, "train").model_copy(update={"views": 1, "patience": None})
    with tempfile.TemporaryDirectory() as folder:
        cells = draw_cells(np.arange(images) % len(CLASSES), side=side, seed=SEED)
        np.save(Path(folder) / "images.npy", cells.images)
        np.save(Path(folder) / "labels.npy", cells.labels)
        arguments: dict[str, Any] = {
            "folder": Path(folder),
            "model_name": model,
            "model_params": model_params,
            "train_params": train_params,
            "pretrained": bring_pretrained(Path(folder) / "pretrained", model_name=model, model_params=model_params),
            "threads": threads,
        }
        sides: list[Callable[..., list[float]]] = [bare_loop, our_loop]
        measured = [[measure(function, **arguments) for function in sides] for _ in range(runs)]
    rates = [[images / seconds for run in runs for seconds in run.result] for runs in zip(*measured, strict=True)]
    bare, ours = (float(np.median(values)) for values in rates)
    rows = [
        [
            name,
            f"{np.median(values):.1f}",
            f"{min(values):.1f}",
            f"{max(values):.1f}",
            f"{np.median(values) / bare:.3f}",
        ]
        for name, values in zip(["train_on_batch, bare", "ours: wbc.train.training.train"], rates, strict=True)
    ]
    print_table(header=["", "images/s", "slowest epoch", "fastest epoch", "of bare"], rows=rows)
    print(f"ours reaches {ours / bare:.1%} of the bare loop")


def bring_pretrained(folder: Path, *, model_name: str, model_params: ModelParams) -> Path | None:
    """Return the weights that ``model_params`` ask for: what is frozen, and so the work, depends on them."""
    bring_weights(folder, model=model_name, weights=model_params.weights)
    return next((path for path in folder.iterdir() if path.suffix != ".json"), None)


def bare_loop(
    folder: Path,
    *,
    model_name: str,
    model_params: ModelParams,
    train_params: TrainParams,
    pretrained: Path | None,
    threads: int,
) -> list[float]:
    """Return the seconds of each epoch but the first of nothing but steps on arrays in memory."""
    make_deterministic(seed=SEED, threads=threads)
    cells = _read(folder, mapped=False)
    model = build_model(
        model_name,
        image_shape=cells.images.shape[1:],
        classes=len(CLASSES),
        params=model_params,
        pretrained=pretrained,
    )
    compile_model(model, model_params=model_params, train_params=train_params)
    targets, size = one_hot(cells.labels, classes=len(CLASSES)), model_params.batch_size
    seconds = []
    for _ in range(model_params.epochs):
        started = time.perf_counter()
        for start in range(0, len(targets), size):
            model.train_on_batch(cells.images[start : start + size], targets[start : start + size])
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def our_loop(
    folder: Path,
    *,
    model_name: str,
    model_params: ModelParams,
    train_params: TrainParams,
    pretrained: Path | None,
    threads: int,
) -> list[float]:
    """Return the seconds of each epoch but the first, from its first batch to its last step, validation apart."""
    make_deterministic(seed=SEED, threads=threads)
    cells = _read(folder, mapped=True)
    training = Examples(cells.images, np.arange(len(cells.labels)), cells.labels)
    few = slice(model_params.batch_size)
    validation = Examples(cells.images, training.positions[few], training.labels[few])
    with recorded(keras.Model, "train_on_batch") as steps, tempfile.TemporaryDirectory() as checkpoints:
        train(
            training,
            validation,
            classes=len(CLASSES),
            model_name=model_name,
            model_params=model_params,
            train_params=train_params,
            pretrained=pretrained,
            checkpoint=Path(checkpoints) / "state.npz",
            tensorboard=None,
            seed=SEED,
        )
    return [
        # The first batch was made before the first step began.
        epoch[-1].end - epoch[0].start + float(np.median(between(epoch)))
        for epoch in epochs_of(steps, epochs=model_params.epochs)[1:]
    ]


def _read(folder: Path, *, mapped: bool) -> Cells:
    return Cells(np.load(folder / "images.npy", mmap_mode="r" if mapped else None), np.load(folder / "labels.npy"))


if __name__ == "__main__":
    typer.run(main)
