"""Decides which labelled photographs are usable, each reject with its reason, and cuts the cells out of the others."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wbc.base.draws import generator
from wbc.base.names import class_name
from wbc.clean.examine import Examined, examine
from wbc.clean.params import CleanParams
from wbc.data.arrays import image_writer, iterate_images, read_images
from wbc.data.tables import MANIFEST, SPLITS, check_table
from wbc.photographs.decoding import describe_fault, find_depth, find_peak
from wbc.photographs.quality import count_flags, flag
from wbc.tools.parallel import map_parallel
from wbc.tools.voc import read_boxes
from wbc.twins import find_contradictions, find_twins, merge_groups, summarise_twins

CELL = "WBC"  # the name of a white cell's box
_AT_ONCE = 8  # photographs handed to a worker
_NUCLEUS = ["nucleus_x", "nucleus_y", "nucleus_area"]  # columns of the manifest
_BOX = ["boxes", "box_left", "box_top", "box_right", "box_bottom"]
_PAIR = ("id_a", "id_b", "kind")  # of wbc.data.tables.TWINS
_NO_BOX = (0, *4 * [np.nan])
REASONS = {
    "missing_file": "the label names a photograph that is not there",
    "unlabelled": "the photograph has no class",
    "multi_cell": "the label names more than one cell",
    "excluded_class": "the class is excluded by clean.exclude",
    "unreadable": "the photograph or its annotation cannot be decoded",
    "more_boxes_than_labels": "more white cells are annotated than labelled",
    "exact_duplicate": "the file is byte for byte the one named in `detail`, of the same class",
    "thinned": "drawn by clean.thin",
    "contradictory_label": "the cell is that of the photograph named in `detail`, which has another class",
}


def parse_category(category: str) -> tuple[str, ...]:
    """Return the class names of a category as given: «Neutrophil ,eosinophil» is (NEUTROPHIL, EOSINOPHIL)."""
    return tuple(name for part in category.split(",") if (name := class_name(part)))


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
    boxes, broken = _read_annotations(records, raw=raw)
    rejects = _reject_by_label(records, boxes=boxes, broken=broken, exclude=params.exclude)
    copies = _find_copies(_without(records, rejects), raw=raw)
    rejects |= _reject_duplicates(copies)
    rejects |= _reject_thinned(_without(records, rejects), thin=params.thin, seed=seed)

    candidates = _without(records, rejects)
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
        candidates = _without(candidates, rejects)
        table = _tabulate(candidates, seen=np.reshape(seen, (len(candidates), -1)), boxes=boxes[candidates.index])
        twins = _find_twins(table if params.twins else table[:0], raw=raw)
        same = pd.concat([twins[list(_PAIR)], _pair_copies(copies)], ignore_index=True)
        table["group"] = _group(table, copies=copies, pairs=same)
        if params.contradictions == "drop":
            rejects |= _reject_contradictions(table, copies=copies, pairs=same)
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


Rejects = dict[Any, tuple[str, str]]  # row of records: (reason, detail)


def _without(records: pd.DataFrame, rejects: Rejects) -> pd.DataFrame:
    return records[~records.index.isin(list(rejects))]


def _read_annotations(records: pd.DataFrame, *, raw: Path) -> tuple[NDArray[np.float64], dict[Any, str]]:
    """Return the columns _BOX of each record, and what is wrong with the annotations that do not parse."""
    annotated = records.loc[records["annotation"] != "", "annotation"]
    look = partial(_read_cells, raw=raw)
    boxes = np.tile(_NO_BOX, (len(records), 1))
    broken = {}
    read = map_parallel(look, annotated.tolist(), description="annotations", unit="file")
    for index, (box, error) in zip(annotated.index, read, strict=True):
        boxes[index] = box
        if error:
            broken[index] = error
    return boxes, broken


def _read_cells(annotation: str, *, raw: Path) -> tuple[tuple[float, ...], str]:
    """Return the columns _BOX of one annotation, and what is wrong with it."""
    try:
        cells = [box for box in read_boxes(raw / annotation) if box.name == CELL]
    except ValueError as error:
        return _NO_BOX, str(error)
    if not cells:
        return _NO_BOX, ""
    return (len(cells), cells[0].left, cells[0].top, cells[0].right, cells[0].bottom), ""


def _reject_by_label(
    records: pd.DataFrame, *, boxes: NDArray[np.float64], broken: Mapping[Any, str], exclude: Sequence[str]
) -> Rejects:
    """Return the records that their label rules out, each with the first reason that applies."""
    rejects: Rejects = {}
    columns = records.index, records["category"], records["file"], boxes[:, 0].astype(int)
    for index, category, file, cells in zip(*columns, strict=True):
        labels = parse_category(category)
        if not file:
            rejects[index] = ("missing_file", "")
        elif not labels:
            rejects[index] = ("unlabelled", "")
        elif len(labels) > 1:
            rejects[index] = ("multi_cell", f"{len(labels)} cells")
        elif labels[0] in exclude:
            rejects[index] = ("excluded_class", labels[0])
        elif index in broken:
            rejects[index] = ("unreadable", broken[index])
        elif cells > len(labels):
            rejects[index] = ("more_boxes_than_labels", f"{cells} boxes")
    return rejects


def _find_copies(records: pd.DataFrame, *, raw: Path) -> pd.DataFrame:
    """Return id, group, label, rank of the official part and digest of the records whose bytes others have too."""
    sizes = records["file"].map(lambda file: (raw / file).stat().st_size).astype(int)
    alike = records[sizes.duplicated(keep=False)]  # no other file can hold the same bytes
    copies = alike[["id", "group"]].assign(
        label=alike["category"].map(lambda category: parse_category(category)[0]),
        rank=alike["part"].map(("", *SPLITS).index),
        digest=alike["file"].map(lambda file: hashlib.sha256((raw / file).read_bytes()).hexdigest()),
    )
    return copies[copies["digest"].duplicated(keep=False)]


def _reject_duplicates(copies: pd.DataFrame) -> Rejects:
    """Return all but one of the copies of one file and class: the first in the latest official part stays."""
    rejects: Rejects = {}
    for _, members in copies.sort_values("rank", ascending=False, kind="stable").groupby(["digest", "label"]):
        rejects |= dict.fromkeys(members.index[1:], ("exact_duplicate", members["id"].iloc[0]))
    return rejects


def _pair_copies(copies: pd.DataFrame) -> pd.DataFrame:
    """Return the columns _PAIR that connect all copies of each file."""
    first = copies.groupby("digest")["id"].transform("first")
    pairs = pd.DataFrame({"id_a": first, "id_b": copies["id"], "kind": "copy"}, dtype=object)
    return pairs[pairs["id_a"] != pairs["id_b"]]


def _reject_thinned(records: pd.DataFrame, *, thin: Mapping[str, float], seed: int) -> Rejects:
    """Return a random share of the records of each class in ``thin``. Raises ValueError for a class without records."""
    labels = records["category"].map(lambda category: parse_category(category)[0])
    rejects: Rejects = {}
    for name, share in thin.items():
        members = records[labels == name]
        if members.empty:
            raise ValueError(f"clean.thin names {name}, but there are only {', '.join(sorted(set(labels)))}")
        draws = members["id"].map(lambda identifier: generator(seed, "thin", identifier).random())
        for index in draws.nsmallest(round(share * len(members))).index:
            rejects[index] = ("thinned", f"{share:g} of {name}")
    return rejects


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


def _reject_contradictions(table: pd.DataFrame, *, copies: pd.DataFrame, pairs: pd.DataFrame) -> Rejects:
    """Return the rows whose cell has another class in another photograph."""
    known = pd.concat([table, copies])
    others = find_contradictions(pairs, labels=dict(zip(known["id"], known["label"], strict=True)))
    return {index: ("contradictory_label", others[name]) for index, name in table["id"].items() if name in others}


def _copy_images(source: Path, destination: Path, *, rows: NDArray[np.int64]) -> None:
    with image_writer(destination, shape=read_images(source).shape[1:]) as append:
        for image in iterate_images(source, rows=rows):
            append(image)


def _tabulate(records: pd.DataFrame, *, seen: NDArray[np.float64], boxes: NDArray[np.float64]) -> pd.DataFrame:
    """Return the manifest of ``records``: ``seen`` has a row of `_describe` for each, ``boxes`` the columns _BOX."""
    measures = seen[:, len(_NUCLEUS) :]
    labels = records["category"].map(lambda category: parse_category(category)[0])
    table = records[["id", "part", "file", "group"]].assign(label=labels, flags=flag(measures)).astype(str)
    table[_NUCLEUS] = seen[:, : len(_NUCLEUS)]
    table[_BOX] = boxes
    table[["width", "height"]] = measures[:, :2]
    return table.astype(dict.fromkeys(["nucleus_area", "boxes", "width", "height"], int))


def smaller_than(window: int, manifest: pd.DataFrame) -> pd.Series:
    """Return which photographs of ``manifest`` a window of so many px does not fit into."""
    return manifest[["width", "height"]].min(axis=1) < window


def describe_window(window: int, manifest: pd.DataFrame) -> str:
    """Return a sentence on the photographs that are `smaller_than` the window, and what becomes of them."""
    small = manifest[smaller_than(window, manifest)]
    inside = small["width"].clip(upper=window) * small["height"].clip(upper=window) / window**2
    width, height = small[["width", "height"]].iloc[0]
    return (
        f"warning: the window of {window} px is larger than {len(small)} of {len(manifest)} photographs, the first "
        f"{width}x{height} px: at least {1 - inside.mean():.0%} of their images is painted as empty slide. If an image "
        "is a cell already, set clean.crop to whole; else set clean.window to about a cell's diameter in px"
    )


def summarise(
    manifest: pd.DataFrame, dropped: pd.DataFrame, twins: pd.DataFrame, *, window: int | None = None
) -> dict[str, Any]:
    """Return the counts of a cleaning and how often the nucleus found lies inside the annotated box.

    Contradictions are the images whose cell has another class in another image, kept or dropped. ``window`` is the side
    in px of what was cut out, None where photographs stayed whole.
    """
    boxed = manifest[manifest["boxes"] == 1]
    inside = boxed["nucleus_x"].between(boxed["box_left"], boxed["box_right"]) & boxed["nucleus_y"].between(
        boxed["box_top"], boxed["box_bottom"]
    )
    reasons = dropped["reason"].value_counts()
    present = dropped.loc[dropped["reason"] != "missing_file", "category"].map(parse_category)
    labelled = Counter(manifest["label"]) + Counter(labels[0] for labels in present if len(labels) == 1)
    return {
        "records": len(manifest) + len(dropped),
        "kept": len(manifest),
        "dropped": len(dropped),
        "labelled": dict(sorted(labelled.items())),  # photographs of one cell, before anything else is dropped
        "classes": {name: int(count) for name, count in manifest["label"].value_counts().sort_index().items()},
        "reasons": {reason: int(reasons.get(reason, 0)) for reason in REASONS},
        "fewer_boxes_than_labels": int((manifest["boxes"] == 0).sum()),
        "nucleus_not_found": int(manifest["nucleus_x"].isna().sum()),
        "smaller_than_window": int(smaller_than(window or 0, manifest).sum()),
        "located": {
            "boxed": len(boxed),
            "inside": int(inside.sum()),
            "rate": float(inside.mean()) if len(boxed) else None,
        },
        "twins": summarise_twins(twins, groups=manifest["group"].tolist(), labels=_labels(manifest, dropped)),
        "flags": count_flags(manifest["flags"].tolist()),
    }


def _labels(manifest: pd.DataFrame, dropped: pd.DataFrame) -> dict[str, str]:
    """Return the class of every image that could be used, those of contradictory label among them."""
    contradictory = dropped[dropped["reason"] == "contradictory_label"]
    return {
        **dict(zip(manifest["id"], manifest["label"], strict=True)),
        **dict(
            zip(contradictory["id"], contradictory["category"].map(lambda text: parse_category(text)[0]), strict=True)
        ),
    }
