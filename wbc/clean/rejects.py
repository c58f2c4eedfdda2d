"""The reasons why a record is dropped, each with the records that it rules out."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wbc.base.draws import generator
from wbc.base.names import class_name
from wbc.data.tables import SPLITS
from wbc.twins import find_contradictions

PAIR = ("id_a", "id_b", "kind")  # of wbc.data.tables.TWINS
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


Rejects = dict[Any, tuple[str, str]]  # row of records: (reason, detail)


def without(records: pd.DataFrame, rejects: Rejects) -> pd.DataFrame:
    """Return the ``records`` that no reject names."""
    return records[~records.index.isin(list(rejects))]


def reject_by_label(
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


def find_copies(records: pd.DataFrame, *, raw: Path) -> pd.DataFrame:
    """Return id, group, label, rank of the official part and digest of the records whose bytes others have too."""
    sizes = records["file"].map(lambda file: (raw / file).stat().st_size).astype(int)
    alike = records[sizes.duplicated(keep=False)]  # no other file can hold the same bytes
    copies = alike[["id", "group"]].assign(
        label=alike["category"].map(lambda category: parse_category(category)[0]),
        rank=alike["part"].map(("", *SPLITS).index),
        digest=alike["file"].map(lambda file: hashlib.sha256((raw / file).read_bytes()).hexdigest()),
    )
    return copies[copies["digest"].duplicated(keep=False)]


def reject_duplicates(copies: pd.DataFrame) -> Rejects:
    """Return all but one of the copies of one file and class: the first in the latest official part stays."""
    rejects: Rejects = {}
    for _, members in copies.sort_values("rank", ascending=False, kind="stable").groupby(["digest", "label"]):
        rejects |= dict.fromkeys(members.index[1:], ("exact_duplicate", members["id"].iloc[0]))
    return rejects


def pair_copies(copies: pd.DataFrame) -> pd.DataFrame:
    """Return the columns PAIR that connect all copies of each file."""
    first = copies.groupby("digest")["id"].transform("first")
    pairs = pd.DataFrame({"id_a": first, "id_b": copies["id"], "kind": "copy"}, dtype=object)
    return pairs[pairs["id_a"] != pairs["id_b"]]


def reject_thinned(records: pd.DataFrame, *, thin: Mapping[str, float], seed: int) -> Rejects:
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


def reject_contradictions(table: pd.DataFrame, *, copies: pd.DataFrame, pairs: pd.DataFrame) -> Rejects:
    """Return the rows whose cell has another class in another photograph."""
    known = pd.concat([table, copies])
    others = find_contradictions(pairs, labels=dict(zip(known["id"], known["label"], strict=True)))
    return {index: ("contradictory_label", others[name]) for index, name in table["id"].items() if name in others}
