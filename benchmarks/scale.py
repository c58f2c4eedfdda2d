"""Clean and augment on few and on many drawn smears: time, memory and use of the cores for each image."""

import filecmp
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from joblib import cpu_count

import wbc.clean.cleaning
from benchmarks.measure import MeasuredTree, measure_tree, print_machine, print_table
from benchmarks.recorder import recorded
from wbc.augment.augmentation import augment, choose_images
from wbc.augment.params import AugmentParams
from wbc.base.files import write_csv
from wbc.base.params import read_section
from wbc.clean.cleaning import clean
from wbc.clean.params import CleanParams
from wbc.data.tables import SPLIT, read_records, read_table, write_records
from wbc.sources.labels import read_labels
from wbc.sources.params import SmearsParams
from wbc.sources.smears import bring

SEED = 1
TWINS_SHARE = 20  # photographs to one that is a second photograph of a cell
WRITTEN = ("cells.npy", "manifest.csv", "twins.csv", "train.npy", "train.csv")


def main(
    images: Annotated[list[int], typer.Option(help="drawn smears, smallest number first; give it twice or more")],
    folder: Annotated[Path | None, typer.Option(help="where drawn smears are kept for another run")] = None,
) -> None:
    """Print the table for each number of images, the ratio of the last to the first, and whether workers matter."""
    print_machine("opencv-python-headless", "joblib", "numpy")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        raws = {count: draw((folder or work) / f"smears-{count}", count=count) for count in images}
        runs = {count: run(raws[count], work / str(count)) for count in images}
        report(runs)
        first = images[0]
        alone = run(raws[first], work / "alone", workers=1)
        same = all(filecmp.cmp(work / str(first) / file, work / "alone" / file, shallow=False) for file in WRITTEN)
        seconds = sum(part.seconds for part in alone.values())
        print(f"{first} images with one worker: {seconds:.0f} s, {'the same bytes' if same else 'OTHER BYTES'}")


def draw(raw: Path, *, count: int) -> Path:
    """Fill ``raw`` with ``count`` drawn smears, unless that was done before."""
    done = raw / "drawn"
    if not done.exists():
        raw.mkdir(parents=True, exist_ok=True)
        twins, share = count // TWINS_SHARE, (count - count // TWINS_SHARE) // 5
        counts = {"EOSINOPHIL": share, "LYMPHOCYTE": share, "MONOCYTE": share}
        quirks = dict.fromkeys(("multi_cell", "unlabelled", "missing", "corrupt", "duplicates"), 0)
        params = SmearsParams(
            seed=count,
            width=640,
            height=480,
            counts={"NEUTROPHIL": count - twins - 3 * share, **counts},
            twins=twins,
            **quirks,
        )
        bring(raw, params=params)
        write_records(raw, read_labels(raw))
        done.touch()
    return raw


def run(raw: Path, output: Path, *, workers: int | None = None) -> dict[str, MeasuredTree]:
    """Measure both stages on the smears in ``raw``, each in a process of its own."""
    output.mkdir()
    return {
        "clean": measure_tree(run_clean, raw=raw, output=output, workers=workers),
        "augment": measure_tree(run_augment, output=output, workers=workers),
    }


def run_clean(raw: Path, *, output: Path, workers: int | None) -> dict[str, float]:
    """Clean as the stage does. Returns the seconds of its parts and how many of the known twins were found."""
    _set_workers(workers)
    with ExitStack() as stack:
        spans = {
            part: stack.enter_context(recorded(wbc.clean.cleaning, function))
            for part, function in {"annotations": "read_annotations", "twins": "find_twins"}.items()
        }
        params = read_section(CleanParams, "clean")
        cleaned = clean(read_records(raw), raw=raw, cells=output / "cells.npy", params=params, seed=0)
    write_csv(output / "manifest.csv", cleaned.manifest)
    write_csv(output / "twins.csv", cleaned.twins)
    write_csv(output / "split.csv", cleaned.manifest[["id", "label", "group"]].assign(split="train"))
    truth = {tuple(sorted(pair)) for pair in pd.read_csv(raw / "twins.csv").values.tolist()}
    found = set(zip(cleaned.twins["id_a"], cleaned.twins["id_b"], strict=True))
    return {
        **{part: sum(span.seconds for span in one) for part, one in spans.items()},
        "recall": len(found & truth) / max(len(truth), 1),
        "precision": len(found & truth) / max(len(found), 1),
    }


def run_augment(output: Path, *, workers: int | None) -> None:
    """Draw one view of each image, as the stage does; to balance classes is left out, whose cost is not linear."""
    _set_workers(workers)
    params = read_section(AugmentParams, "augment").model_copy(
        update={"target_per_class": None, "copies": 1, "balance": "none"}
    )
    training = choose_images(read_table(output / "split.csv", SPLIT), leaky=False)
    table = augment(training, cells=output / "cells.npy", output=output / "train.npy", params=params, seed=SEED)
    write_csv(output / "train.csv", table)


def _set_workers(workers: int | None) -> None:
    if workers:
        os.environ["LOKY_MAX_CPU_COUNT"] = str(workers)  # this process ends after the measurement


def report(runs: dict[int, dict[str, MeasuredTree]]) -> None:
    """Print a row for each stage and number of images, and the growth from the first number to the last."""
    rows = []
    for stage in ("clean", "augment"):
        for count, measured in runs.items():
            one = measured[stage]
            used = one.processor_seconds / one.seconds / cpu_count()
            rows.append(
                [f"{stage}, {count} images", f"{one.seconds:.1f}", f"{1000 * one.seconds / count:.1f}",
                 f"{used:.0%}", f"{one.own}", f"{one.mapped}"]
            )  # fmt: skip
        small, large = (runs[count][stage] for count in (min(runs), max(runs)))
        slower = large.seconds / max(runs) * min(runs) / small.seconds
        rows.append(
            [f"{stage}, growth", "", f"x {slower:.2f}", "", f"x {large.own / small.own:.2f}",
             f"x {large.mapped / small.mapped:.2f}"]
        )  # fmt: skip
    print_table(header=["", "seconds", "ms/image", "of the cores", "MiB", "with mapped files"], rows=rows)
    for count, measured in runs.items():
        parts, rest = measured["clean"].result, measured["clean"].seconds
        rest -= parts["annotations"] + parts["twins"]
        print(
            f"clean, {count} images: annotations {parts['annotations']:.1f} s, twins {parts['twins']:.1f} s (recall"
            f" {parts['recall']:.3f}, precision {parts['precision']:.3f}), decoding, cells and writing {rest:.1f} s"
        )


if __name__ == "__main__":
    typer.run(main)
