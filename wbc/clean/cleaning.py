"""Decides which labelled photographs are usable, each reject with its reason, and cuts the cells out of the others."""

from array import array
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wbc.clean.annotations import BOX, read_annotations
from wbc.clean.examine import Examined, examine
from wbc.clean.params import CleanParams
from wbc.clean.rejects import (
    PAIR,
    find_copies,
    pair_copies,
    parse_category,
    reject_by_label,
    reject_contradictions,
    reject_duplicates,
    reject_thinned,
    without,
)
from wbc.clean.summary import describe_window, smaller_than
from wbc.data.arrays import image_writer, iterate_images, read_images
from wbc.data.tables import MANIFEST, check_table
from wbc.photographs.decoding import describe_fault, find_depth, find_peak
from wbc.photographs.quality import flag
from wbc.tools.parallel import map_parallel
from wbc.twins import find_twins, merge_groups

_AT_ONCE = 8  # photographs handed to a worker
_NUCLEUS = ["nucleus_x", "nucleus_y", "nucleus_area"]  # columns of the manifest


class Cleaned(NamedTuple):
    """Every record is in exactly one of ``manifest`` and ``dropped``; ``twins`` may name images of both."""

    manifest: pd.DataFrame
    dropped: pd.DataFrame
    twins: pd.DataFrame


def clean(records: pd.DataFrame, *, raw: Path, cells: Path, params: CleanParams, seed: int) -> Cleaned:
    """Write the usable images to ``cells`` and return the tables that say what became of each record.

    ``records`` is a table of wbc.data.tables.RECORDS, with files relative to ``raw``. The manifest's row i
    describes image i of ``cells``; ``dropped`` has the columns id, category, reason (a key of REASONS), detail.
    Raises ValueError when nothing is usable, or when ``thin`` names a class without images.
    """
    records = records.sort_values("id", kind="stable", ignore_index=True)
    boxes, broken = read_annotations(records, raw=raw)
    rejects = reject_by_label(records, boxes=boxes, broken=broken, exclude=params.exclude)
    copies = find_copies(without(records, rejects), raw=raw)
    rejects |= reject_duplicates(copies)
    rejects |= reject_thinned(without(records, rejects), thin=params.thin, seed=seed)

    candidates = without(records, rejects)
    depth = _find_depth(records, raw=raw)
    look = partial(_examine, raw=raw, params=params, depth=depth)
    examined = map_parallel(look, candidates["file"].tolist(), description="clean", batch_size=_AT_ONCE)
    seen = array("d")  # numbers, not objects: of many photographs these take much memory
    every = cells.with_name(f".{cells.stem}.every{cells.suffix}")  # contradictions are known when all were examined
    try:
        with image_writer(every, shape=(*params.size, 3)) as append:
            for (index, file), result in zip(candidates["file"].items(), examined, strict=True):
                if result is None:
                    rejects[index] = ("unreadable", f"{file}: {describe_fault(raw / file)}")
                    continue
                append(result.image)
                seen.extend(_describe(result))
        if not seen:
            counts = Counter(reason for reason, _ in rejects.values())
            raise ValueError(f"{raw}: none of {len(records)} photographs is usable: {dict(counts)}")
        candidates = without(candidates, rejects)
        table = _tabulate(candidates, seen=np.reshape(seen, (len(candidates), -1)), boxes=boxes[candidates.index])
        twins = _find_twins(table if params.twins else table[:0], raw=raw)
        same = pd.concat([twins[list(PAIR)], pair_copies(copies)], ignore_index=True)
        table["group"] = _group(table, copies=copies, pairs=same)
        if params.contradictions == "drop":
            rejects |= reject_contradictions(table, copies=copies, pairs=same)
        kept = ~table.index.isin(list(rejects))
        if not kept.any():
            raise ValueError(f"{raw}: every cell has two classes: keep them with -S clean.contradictions=keep")
        if kept.all():
            every.replace(cells)
        else:
            _copy_images(every, cells, rows=np.flatnonzero(kept))
    finally:
        every.unlink(missing_ok=True)

    table = table[kept].reset_index(drop=True)
    # The name of a group is that of a kept image.
    table["group"] = merge_groups(table["id"].tolist(), [], supplied=table["group"].tolist())
    manifest = check_table(table[list(MANIFEST.columns)], MANIFEST, where="the manifest")
    if params.crop == "cell" and smaller_than(params.window, manifest).any():
        print(describe_window(params.window, manifest))
    dropped = records.loc[sorted(rejects), ["id", "category"]].reset_index(drop=True)
    dropped["reason"] = [rejects[index][0] for index in sorted(rejects)]
    dropped["detail"] = [rejects[index][1] for index in sorted(rejects)]
    assert len(records) == len(manifest) + len(dropped), "a record was lost or counted twice"
    return Cleaned(manifest, dropped, twins)


def _examine(file: str, *, raw: Path, params: CleanParams, depth: int | None) -> Examined | None:
    return examine(raw / file, params=params, depth=depth)


def _find_depth(records: pd.DataFrame, *, raw: Path) -> int | None:
    """Return the bits from which all 16-bit files are scaled, so that a dim photograph stays dim; None without such."""
    paths = [raw / file for file in records["file"] if file and (raw / file).exists()]
    peaks = list(map_parallel(find_peak, paths, description="depth", unit="file"))
    depth = find_depth(peaks)
    if depth:
        deep = [peak for peak in peaks if peak]
        print(f"{len(deep)} files of 16 bits are scaled from {depth} bits; their peaks are {min(deep)} to {max(deep)}")
    return depth


def _describe(examined: Examined) -> tuple[float, ...]:
    """Return the columns _NUCLEUS and the measures of a photograph."""
    nucleus = examined.nucleus
    place = (nucleus.x, nucleus.y, nucleus.area) if nucleus else (np.nan, np.nan, 0)
    return (*place, *examined.measures)


def _find_twins(table: pd.DataFrame, *, raw: Path) -> pd.DataFrame:
    return find_twins(
        table["id"].tolist(),
        [str(raw / file) for file in table["file"]],
        nuclei=table[["nucleus_x", "nucleus_y"]].to_numpy(dtype=float),
    )


def _group(table: pd.DataFrame, *, copies: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    """Return the group of each row: the smallest id of those of one patient or slide, or that show the same field.

    A copy that is left out still connects its patient or slide with that of the one that stays.
    """
    known = pd.concat([table, copies[~copies["id"].isin(table["id"])]])
    connected = list(zip(pairs["id_a"], pairs["id_b"], strict=True))
    return merge_groups(known["id"].tolist(), connected, supplied=known["group"].tolist())[: len(table)]


def _copy_images(source: Path, destination: Path, *, rows: NDArray[np.int64]) -> None:
    with image_writer(destination, shape=read_images(source).shape[1:]) as append:
        for image in iterate_images(source, rows=rows):
            append(image)


def _tabulate(records: pd.DataFrame, *, seen: NDArray[np.float64], boxes: NDArray[np.float64]) -> pd.DataFrame:
    """Return the manifest of ``records``: ``seen`` has a row of `_describe` for each, ``boxes`` the columns BOX."""
    measures = seen[:, len(_NUCLEUS) :]
    labels = records["category"].map(lambda category: parse_category(category)[0])
    table = records[["id", "part", "file", "group"]].assign(label=labels, flags=flag(measures)).astype(str)
    table[_NUCLEUS] = seen[:, : len(_NUCLEUS)]
    table[BOX] = boxes
    table[["width", "height"]] = measures[:, :2]
    return table.astype(dict.fromkeys(["nucleus_area", "boxes", "width", "height"], int))
