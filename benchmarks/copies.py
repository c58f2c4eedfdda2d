"""Copies of photographs as blood_cells has them: turned, mirrored, shifted, recoloured, with black corners.

How long does `clean` take, and do the groups that it finds hold the copies of one photograph each?
"""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import pandas as pd
import typer
from scipy.special import comb

from benchmarks.cells import CLASSES
from benchmarks.measure import MeasuredTree, measure_tree, print_machine, print_table
from wbc.base.draws import generator
from wbc.base.params import read_section
from wbc.clean.cleaning import clean
from wbc.clean.params import CleanParams
from wbc.data.arrays import Image
from wbc.data.tables import TWINS, read_table
from wbc.photographs.decoding import read_photograph
from wbc.sources.drawing import draw_smear
from wbc.tools.parallel import map_parallel
from wbc.twins import merge_groups

SEED = 1
WIDTH, HEIGHT = 320, 240  # px of a copy
WINDOW = 120  # px round the nucleus, as params.yaml says for this source
TURN = 30.0  # degrees, either way
SHIFT = 0.15  # of width and height, either way
STRETCH = 0.15  # of each channel's range


def main(
    images: Annotated[int, typer.Option(help="copies to make")] = 10_000,
    photographs: Annotated[int, typer.Option(help="drawn smears to copy")] = 277,
    folder: Annotated[Path | None, typer.Option(help="copy the photographs in here instead of drawn ones")] = None,
    twins: Annotated[Path | None, typer.Option(help="table of twins.csv: those that show one field anyway")] = None,
) -> None:
    """Print seconds, memory and how far the groups found are the photographs copied."""
    print_machine("opencv-python-headless", "numpy")
    originals = sorted(folder.iterdir())[:photographs] if folder else None
    names = [path.stem for path in originals] if originals else [str(number) for number in range(photographs)]
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name)
        copies = make_copies(raw, names=names, originals=originals, count=images)
        measured = measure_tree(clean_copies, raw=raw, copies=copies)
    report(measured, images=images)
    known = read_table(twins, TWINS) if twins else pd.DataFrame(columns=["id_a", "id_b"])
    pairs = [pair for pair in zip(known["id_a"], known["id_b"], strict=True) if set(pair) <= set(names)]
    field = dict(zip(names, merge_groups(names, pairs), strict=True))
    manifest = measured.result
    judge(groups=manifest["group"], fields=manifest["id"].map(lambda copy: field[copy.rsplit("-", 1)[0]]))


def make_copies(raw: Path, *, names: Sequence[str], originals: Sequence[Path] | None, count: int) -> pd.DataFrame:
    """Write ``count`` copies of photographs in turn to ``raw`` and return their RECORDS; drawn without ``originals``.

    The id of a copy is the name of its photograph, a dash and a number.
    """
    tasks = [
        (number, name, originals[number] if originals else None, -(-(count - number) // len(names)))
        for number, name in enumerate(names)
    ]
    for _ in map_parallel(partial(_copy_one, raw=raw), tasks, description="copies"):
        pass
    ids = [f"{name}-{copy}" for _, name, _, copies in tasks for copy in range(copies)]
    records = pd.DataFrame({"id": ids, "file": [f"{one}.jpeg" for one in ids]})
    return records.assign(category="CELL", annotation="", group="", part="")


def _copy_one(task: tuple[int, str, Path | None, int], *, raw: Path) -> None:
    number, name, original, copies = task
    photograph = read_photograph(original) if original else _draw(number)
    if photograph is None:
        raise ValueError(f"{original} cannot be decoded")
    small = cv2.resize(photograph, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    for copy in range(copies):
        changed = change(small, draws=generator(SEED, "copy", name, copy))
        cv2.imwrite(str(raw / f"{name}-{copy}.jpeg"), cv2.cvtColor(changed, cv2.COLOR_RGB2BGR))


def _draw(number: int) -> Image:
    return draw_smear(seed=SEED, number=number, classes=[CLASSES[number % len(CLASSES)]])[0]


def change(image: Image, *, draws: np.random.Generator) -> Image:
    """Return an RGB image (height, width, 3) turned, perhaps mirrored, shifted, black at the corners, and stretched."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), draws.uniform(-TURN, TURN), 1.0)
    matrix[:, 2] += draws.uniform(-SHIFT, SHIFT, 2) * (width, height)
    flipped = image[:: draws.choice([-1, 1]), :: draws.choice([-1, 1])]
    moved = cv2.warpAffine(np.ascontiguousarray(flipped), matrix, (width, height), flags=cv2.INTER_LINEAR)
    gain = draws.uniform(1 - STRETCH, 1 + STRETCH, 3) * 255 / max(int(moved.max()), 1)
    return np.clip(np.rint(moved * gain), 0, 255).astype(np.uint8)


def clean_copies(raw: Path, *, copies: pd.DataFrame) -> pd.DataFrame:
    """Return the manifest of ``copies``, cleaned as the stage does."""
    params = read_section(CleanParams, "clean").model_copy(update={"window": WINDOW})
    return clean(copies, raw=raw, cells=raw / "cells.npy", params=params, seed=0).manifest[["id", "group"]]


def report(measured: MeasuredTree, *, images: int) -> None:
    """Print what cleaning ``images`` copies cost."""
    row = [
        f"{measured.seconds:.0f}",
        f"{1000 * measured.seconds / images:.1f}",
        f"{measured.processor_seconds:.0f}",
        f"{measured.own}",
    ]
    header = ["", "seconds", "ms per image", "processor seconds", "MiB of all processes"]
    print_table(header=header, rows=[[f"clean, {images} copies", *row]])


def judge(*, groups: pd.Series, fields: pd.Series) -> None:
    """Print how well ``groups`` agree with the true ``fields`` (images,), counted in pairs of copies."""
    table = pd.crosstab(fields.to_numpy(), groups.to_numpy()).to_numpy()
    together = comb(table, 2).sum()
    precision = together / max(comb(table.sum(axis=0), 2).sum(), 1)
    recall = together / max(comb(table.sum(axis=1), 2).sum(), 1)
    joined = int((np.sign(table).sum(axis=0) > 1).sum())
    print(f"{len(table)} fields, {table.shape[1]} groups, {joined} of them join fields")
    print(f"pairs of copies in one group: precision {precision:.4f}, recall {recall:.4f}")
    share = table.max(axis=1) / table.sum(axis=1)
    print(f"share of a field's copies in one group: mean {share.mean():.3f}, smallest {share.min():.3f}")


if __name__ == "__main__":
    typer.run(main)
