"""SMOTE as the pipeline does it, from one file of uint8 images to the other, against imbalanced-learn on float32."""

import filecmp
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from imblearn.over_sampling import SMOTE
from joblib import parallel_config

from benchmarks.cells import CLASSES, draw_cells
from benchmarks.measure import Measured, measure, print_machine, print_table
from wbc.augment.augmentation import augment, choose_images
from wbc.augment.params import AugmentParams
from wbc.base.params import read_section
from wbc.data.arrays import image_writer

SEED = 1
CELLS, LABELS = "cells.npy", "labels.npy"


def main(
    images: Annotated[str, typer.Option(help="of each of the four classes")] = "400,200,150,100",
    target: Annotated[int, typer.Option(help="images of each class afterwards")] = 1000,
    side: Annotated[int, typer.Option(help="px of the square image")] = 256,
    runs: Annotated[int, typer.Option(help="of either side, in turn")] = 1,
) -> None:
    """Print seconds and memory of either side, medians over the runs, and whether their pixels are the same."""
    print_machine("imbalanced-learn", "scikit-learn", "numpy")
    counts = [int(count) for count in images.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells = draw_cells(np.repeat(np.arange(len(counts)), counts), side=side, seed=SEED)
        np.save(folder / CELLS, cells.images)
        np.save(folder / LABELS, np.array(CLASSES)[cells.labels])
        del cells
        theirs, ours = [], []
        for _ in range(runs):
            ours.append(measure(our_smote, folder=folder, target=target))
            theirs.append(measure(their_smote, folder=folder, target=target))
        same = filecmp.cmp(folder / "ours.npy", folder / "theirs.npy", shallow=False)
    report(ours=ours, theirs=theirs)
    print(f"images written: {'the same bytes' if same else 'THEY DIFFER'}")


def our_smote(folder: Path, *, target: int) -> None:
    """Balance as the stage augment does, without views."""
    labels = np.load(folder / LABELS)
    split = pd.DataFrame({"id": [str(number) for number in range(len(labels))], "label": labels, "split": "train"})
    params = read_section(AugmentParams, "augment")
    with parallel_config(backend="sequential"):  # no workers, whose memory would not be counted
        augment(
            choose_images(split, leaky=False),
            cells=folder / CELLS,
            output=folder / "ours.npy",
            params=params.model_copy(
                update={"copies": 0, "target_per_class": target, "balance": "smote", "space": "pixels"}
            ),
            seed=SEED,
        )


def their_smote(folder: Path, *, target: int) -> float:
    """Let imbalanced-learn balance float32 images, round them and write them. Returns seconds of fit_resample."""
    images, labels = np.load(folder / CELLS), np.load(folder / LABELS)
    shape, flat = images.shape[1:], images.reshape(len(images), -1).astype(np.float32)
    del images
    neighbours = read_section(AugmentParams, "augment").neighbours
    sampler = SMOTE(
        sampling_strategy=dict.fromkeys(sorted(set(labels)), target), k_neighbors=neighbours, random_state=SEED
    )
    started = time.perf_counter()
    balanced, _ = sampler.fit_resample(flat, labels)
    seconds = time.perf_counter() - started
    with image_writer(folder / "theirs.npy", shape=shape) as append:
        for image in balanced:
            append(np.rint(image).astype(np.uint8).reshape(shape))
    return seconds


def report(*, ours: list[Measured], theirs: list[Measured]) -> None:
    """Print the table and the ratios."""
    medians = {
        name: np.median([(run.seconds, run.peak, run.grown) for run in runs], axis=0)
        for name, runs in {"imbalanced-learn": theirs, "ours": ours}.items()
    }
    rows = [[name, f"{s:.1f}", f"{peak:.0f}", f"{grown:.0f}"] for name, (s, peak, grown) in medians.items()]
    ratios = [f"{own / other:.3f}" for own, other in zip(medians["ours"], medians["imbalanced-learn"], strict=True)]
    print_table(header=["", "seconds", "peak MiB", "above start"], rows=[*rows, ["ours / theirs", *ratios]])
    resampling = float(np.median([run.result for run in theirs]))
    print(f"of its seconds imbalanced-learn spends {resampling:.1f} in fit_resample; the rest reads, rounds and writes")


if __name__ == "__main__":
    typer.run(main)
