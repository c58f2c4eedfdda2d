"""Decides which labelled photographs are usable, each reject with its reason, and cuts the cells out of the others."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wbc.arrays import image_writer, iterate_images, read_images
from wbc.cells import Examined, examine
from wbc.draws import generator
from wbc.manifest import MANIFEST, check_table
from wbc.parallel import map_parallel
from wbc.params.clean import CleanParams
from wbc.quality import Measures, count_flags, flag
from wbc.twins import find_contradictions, find_twins, merge_groups, summarise_twins
from wbc.voc import Box, read_boxes

CELL = "WBC"  # the name of a white cell's box
_AT_ONCE = 8  # photographs handed to a worker
REASONS = {
    "missing_file": "the label names a photograph that is not there",
    "unlabelled": "the photograph has no class",
    "multi_cell": "the label names more than one cell",
    "excluded_class": "the class is excluded by clean.exclude",
    "unreadable": "the photograph or its annotation cannot be decoded",
    "more_boxes_than_labels": "more white cells are annotated than labelled",
    "exact_duplicate": "the file is byte for byte the one named in `detail`",
    "thinned": "drawn by clean.thin",
    "contradictory_label": "the cell is that of the photograph named in `detail`, which has another class",
}


def parse_category(category: str) -> tuple[str, ...]:
    """Return the class names of a category as given: «Neutrophil ,eosinophil» is (NEUTROPHIL, EOSINOPHIL)."""
    return tuple(name for part in category.split(",") if (name := " ".join(part.split()).upper()))


class Cleaned(NamedTuple):
    """Every record is in exactly one of ``manifest`` and ``dropped``; ``twins`` may name images of both."""

    manifest: pd.DataFrame
    dropped: pd.DataFrame
    twins: pd.DataFrame


def clean(records: pd.DataFrame, *, raw: Path, cells: Path, params: CleanParams, seed: int) -> Cleaned:
    """Write the usable images to ``cells`` and return the tables that say what became of each record.

    ``records`` is a table of wbc.manifest.RECORDS, with files relative to ``raw``. The manifest's row i
    describes image i of ``cells``; ``dropped`` has the columns id, category, reason (a key of REASONS), detail.
    Raises ValueError when nothing is usable, or when ``thin`` names a class without images.
    """
    records = records.sort_values("id", kind="stable", ignore_index=True)
    boxes, broken = _read_annotations(records, raw=raw)
    rejects = _reject_by_label(records, boxes=boxes, broken=broken, exclude=params.exclude)
    rejects |= _reject_duplicates(_without(records, rejects), raw=raw)
    rejects |= _reject_thinned(_without(records, rejects), thin=params.thin, seed=seed)

    candidates = _without(records, rejects)
    look = partial(_examine, raw=raw, params=params)
    examined = map_parallel(look, candidates["file"].tolist(), description="clean", batch_size=_AT_ONCE)
    nuclei: list[_Found] = []
    measures: list[Measures] = []
    every = cells.with_name(f".{cells.stem}.every{cells.suffix}")  # contradictions are known when all were examined
    try:
        with image_writer(every, shape=(*params.size, 3)) as append:
            for (index, file), result in zip(candidates["file"].items(), examined, strict=True):
                if result is None:
                    rejects[index] = ("unreadable", file)
                    continue
                append(result.image)
                measures.append(result.measures)
                nuclei.append(_find(result))
        if not nuclei:
            counts = Counter(reason for reason, _ in rejects.values())
            raise ValueError(f"{raw}: none of {len(records)} photographs is usable: {dict(counts)}")
        table = _tabulate(_without(candidates, rejects), nuclei=nuclei, boxes=boxes).assign(flags=flag(measures))
        del nuclei, measures, boxes  # the search for twins needs the memory
        twins = _find_twins(table if params.twins else table[:0], raw=raw)
        table["group"] = _group(table, twins=twins)
        if params.contradictions == "drop":
            rejects |= _reject_contradictions(table, twins=twins)
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
    table["group"] = table.groupby("group")["id"].transform("min")  # the name of a group is that of a kept image
    manifest = check_table(table[list(MANIFEST.columns)], MANIFEST, where="the manifest")
    dropped = records.loc[sorted(rejects), ["id", "category"]].reset_index(drop=True)
    dropped["reason"] = [rejects[index][0] for index in sorted(rejects)]
    dropped["detail"] = [rejects[index][1] for index in sorted(rejects)]
    assert len(records) == len(manifest) + len(dropped), "a record was lost or counted twice"
    return Cleaned(manifest, dropped, twins)


class _Found(NamedTuple):
    """The columns of the manifest that are seen in a photograph."""

    width: int
    height: int
    nucleus_x: float
    nucleus_y: float
    nucleus_area: int


def _examine(file: str, *, raw: Path, params: CleanParams) -> Examined | None:
    return examine(raw / file, params=params)


def _find(examined: Examined) -> _Found:
    nucleus = examined.nucleus
    place = (nucleus.x, nucleus.y, nucleus.area) if nucleus else (np.nan, np.nan, 0)
    return _Found(examined.width, examined.height, *place)


Rejects = dict[Any, tuple[str, str]]  # row of records: (reason, detail)


def _without(records: pd.DataFrame, rejects: Rejects) -> pd.DataFrame:
    return records[~records.index.isin(list(rejects))]


def _read_annotations(records: pd.DataFrame, *, raw: Path) -> tuple[dict[Any, list[Box]], dict[Any, str]]:
    """Return the white cells annotated in each record, and what is wrong with the annotations that do not parse."""
    annotated = records.loc[records["annotation"] != "", "annotation"]
    read = map_parallel(_read_cells, [raw / annotation for annotation in annotated], description="annotations")
    boxes: dict[Any, list[Box]] = {index: [] for index in records.index}
    broken = {}
    for index, (cells, error) in zip(annotated.index, read, strict=True):
        boxes[index] = cells
        if error:
            broken[index] = error
    return boxes, broken


def _read_cells(annotation: Path) -> tuple[list[Box], str]:
    """Return the white cells of one annotation, or what is wrong with it."""
    try:
        return [box for box in read_boxes(annotation) if box.name == CELL], ""
    except ValueError as error:
        return [], str(error)


def _reject_by_label(
    records: pd.DataFrame, *, boxes: Mapping[Any, Sequence[Box]], broken: Mapping[Any, str], exclude: Sequence[str]
) -> Rejects:
    """Return the records that their label rules out, each with the first reason that applies."""
    rejects: Rejects = {}
    for index, record in records.iterrows():
        labels = parse_category(record["category"])
        if not record["file"]:
            rejects[index] = ("missing_file", "")
        elif not labels:
            rejects[index] = ("unlabelled", "")
        elif len(labels) > 1:
            rejects[index] = ("multi_cell", f"{len(labels)} cells")
        elif labels[0] in exclude:
            rejects[index] = ("excluded_class", labels[0])
        elif index in broken:
            rejects[index] = ("unreadable", broken[index])
        elif len(boxes[index]) > len(labels):
            rejects[index] = ("more_boxes_than_labels", f"{len(boxes[index])} boxes")
    return rejects


def _reject_duplicates(records: pd.DataFrame, *, raw: Path) -> Rejects:
    """Return the records whose file holds the same bytes as that of an earlier one."""
    digests = records["file"].map(lambda file: hashlib.sha256((raw / file).read_bytes()).hexdigest())
    first = records.groupby(digests)["id"].transform("first") if len(records) else records["id"]
    repeated = digests.duplicated()
    return {index: ("exact_duplicate", first[index]) for index in records.index[repeated]}


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


def _group(table: pd.DataFrame, *, twins: pd.DataFrame) -> list[str]:
    """Return the group of each row: the smallest id of those of one patient or slide, or that show the same field."""
    pairs = list(zip(twins["id_a"], twins["id_b"], strict=True))
    return merge_groups(table["id"].tolist(), pairs, supplied=table["group"].tolist())


def _reject_contradictions(table: pd.DataFrame, *, twins: pd.DataFrame) -> Rejects:
    """Return the rows whose cell has another class in another photograph."""
    others = find_contradictions(twins, labels=dict(zip(table["id"], table["label"], strict=True)))
    return {index: ("contradictory_label", others[name]) for index, name in table["id"].items() if name in others}


def _copy_images(source: Path, destination: Path, *, rows: NDArray[np.int64]) -> None:
    with image_writer(destination, shape=read_images(source).shape[1:]) as append:
        for image in iterate_images(source, rows=rows):
            append(image)


def _tabulate(records: pd.DataFrame, *, nuclei: Sequence[_Found], boxes: Mapping[Any, Sequence[Box]]) -> pd.DataFrame:
    """Return the manifest of ``records``, in which ``nuclei`` were found, without its flags."""
    annotated = [boxes[index] for index in records.index]
    edges = [(one[0].left, one[0].top, one[0].right, one[0].bottom) if one else (np.nan,) * 4 for one in annotated]
    texts = records[["id", "part", "file"]].assign(
        label=records["category"].map(lambda category: parse_category(category)[0]),
        group=records["group"].where(records["group"] != "", records["id"]),
    )
    table = texts.astype(str).assign(boxes=[len(one) for one in annotated])
    table[list(_Found._fields)] = pd.DataFrame(nuclei, index=table.index)
    table[["box_left", "box_top", "box_right", "box_bottom"]] = np.array(edges, dtype=float).reshape(-1, 4)
    return table


def summarise(manifest: pd.DataFrame, dropped: pd.DataFrame, twins: pd.DataFrame) -> dict[str, Any]:
    """Return the counts of a cleaning and how often the nucleus found lies inside the annotated box.

    Contradictions are the images whose cell has another class in another image, kept or dropped.
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
