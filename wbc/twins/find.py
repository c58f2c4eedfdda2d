"""Finds photographs that show the same field or the same cell.

A sieve proposes pairs, best partners first, and each is verified. Once photographs are connected they are not compared
any more, so that hundreds of copies of one photograph cost little more than as many others.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wbc.data.tables import TWINS, check_table
from wbc.tools.parallel import map_parallel
from wbc.twins.groups import Groups, components
from wbc.twins.keypoints import SIDE, Index, build_index, open_index
from wbc.twins.sieve import Proposals, propose_partners
from wbc.twins.verification import Evidence, verify

_ROUNDS = (1, 2, 4, 8, 16)  # how many photographs are compared with each; a later round looks beyond the groups so far
_SMALL_GROUP = 6  # photographs up to which every ranked pair of a group is compared
_SAME_CELL = 0.1  # of the longer side, between the nucleus mapped and the nucleus found
_COPY = 0.01  # of the longer side, how far the corners of a plain copy move
_BATCH = 64  # pairs handed to a worker at once
_AT_ONCE = 1024  # photographs whose partners are looked through at once


class _Candidates(NamedTuple):
    """Pairs to compare, each a row."""

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    mirrored: NDArray[np.bool_]


def find_twins(
    ids: Sequence[str], paths: Sequence[Path | str], *, nuclei: NDArray[np.float64] | None = None, seed: int = 0
) -> pd.DataFrame:
    """Return the pairs of photographs that show the same field, in part or whole, as a table TWINS of wbc.data.tables.

    ``nuclei`` (photographs, 2) holds x and y of the nucleus in px, NaN where none was found: a pair whose nuclei
    fall on each other shows the same cell. ``seed`` draws the vocabulary. Files that do not decode have no twins.
    Among more than two photographs of one field not every pair is listed, but all are connected.
    The result is the same with any number of workers.
    """
    order = np.argsort(np.asarray(ids, dtype=object), kind="stable")
    names, files = [ids[place] for place in order], [paths[place] for place in order]
    centres = np.full((len(ids), 2), np.nan) if nuclei is None else np.asarray(nuclei, dtype=float)[order]
    rows: list[tuple[Any, ...]] = []
    with TemporaryDirectory() as folder:
        index = build_index(files, folder=Path(folder))
        for first, second, evidence in _search(
            index, ranking=propose_partners(index, seed=seed), known=np.arange(len(files))
        ):
            described = _describe(first, second, evidence, sizes=index.sizes, centres=centres)
            rows.append((names[first], names[second], *described))
    table = pd.DataFrame(rows, columns=list(TWINS.columns))
    table = table.astype({name: column.dtype.type for name, column in TWINS.columns.items()})
    table = table.sort_values(["id_a", "id_b"], ignore_index=True)
    return check_table(table, TWINS, where="the table of twins")


def find_links(
    new: Sequence[Path | str],
    old: Sequence[Path | str],
    *,
    new_groups: Sequence[str],
    old_groups: Sequence[str],
    seed: int = 0,
) -> list[tuple[int, int]]:
    """Return which photographs of ``new`` show the same field as one of ``old``, as pairs of their numbers.

    Neither set is compared with itself: the groups say what is connected within it. Once two groups are connected they
    are not compared any more, so not every pair is listed. ``seed`` draws the vocabulary.
    """
    own, other = (np.unique(np.asarray(groups, str), return_inverse=True)[1] for groups in (new_groups, old_groups))
    known = np.concatenate([own, len(new) + other])
    with TemporaryDirectory() as folder:
        index = build_index([*new, *old], folder=Path(folder))
        ranking = propose_partners(index, seed=seed, boundary=len(new))
        return sorted((first, second - len(new)) for first, second, _ in _search(index, ranking=ranking, known=known))


def _search(index: Index, *, ranking: Proposals, known: Groups) -> Iterator[tuple[int, int, Evidence]]:
    """Yield the pairs of the ranking that show the same field; photographs of a ``known`` group count as connected."""
    tested = np.empty(0, np.int64)
    _, first_of_group, number = np.unique(known, return_index=True, return_inverse=True)
    edges = list(enumerate(first_of_group[number].tolist()))
    for neighbours in (*_ROUNDS, None):
        group = components(len(known), edges)
        chosen, tested = _propose(ranking, group=group, tested=tested, neighbours=neighbours)
        for first, second, evidence in _compare_all(ranking, chosen=chosen, folder=index.folder):
            edges.append((first, second))
            yield first, second, evidence


def _propose(
    ranking: Proposals, *, group: Groups, tested: NDArray[np.int64], neighbours: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the ranking to compare: each photograph's best partners that it was not yet compared with.

    They are so many ``neighbours`` outside its group or, with None, all those inside a small group. ``tested`` are the
    sorted numbers of the pairs compared so far; they are returned with those of the rows chosen.
    """
    small = np.bincount(group)[group] <= _SMALL_GROUP
    chosen, numbers = [], []
    for first in range(0, max(len(group), 1), _AT_ONCE):
        start, stop = np.searchsorted(ranking.first, (first, first + _AT_ONCE))
        one, other = ranking.first[start:stop], ranking.second[start:stop]
        number = np.minimum(one, other).astype(np.int64) * len(group) + np.maximum(one, other)
        apart = group[one] != group[other] if neighbours else (group[one] == group[other]) & small[one]
        rows = np.flatnonzero(apart & ~np.isin(number, tested))
        owners = one[rows]
        rows = rows[np.arange(len(rows)) - np.searchsorted(owners, owners) < (neighbours or _SMALL_GROUP)]
        chosen.append(start + rows)
        numbers.append(number[rows])
    new, where = np.unique(np.concatenate(numbers), return_index=True)
    return np.concatenate(chosen)[where], np.union1d(tested, new)


def _compare_all(ranking: Proposals, *, chosen: NDArray[np.int64], folder: Path) -> Iterator[tuple[int, int, Evidence]]:
    """Yield the pairs, of the rows ``chosen``, that show the same field; the smaller number is the first."""
    parts = [chosen[start : start + _BATCH] for start in range(0, len(chosen), _BATCH)]
    batches = [
        _Candidates(
            np.minimum(ranking.first[part], ranking.second[part]),
            np.maximum(ranking.first[part], ranking.second[part]),
            ranking.mirrored[part],
        )
        for part in parts
    ]
    compared = map_parallel(partial(_compare, folder=folder), batches, description="twins", unit="batch", batch_size=1)
    for batch, results in zip(batches, compared, strict=True):
        for one, other, evidence in zip(batch.first.tolist(), batch.second.tolist(), results, strict=True):
            if evidence is not None:
                yield one, other, evidence


def _compare(batch: _Candidates, *, folder: Path) -> list[Evidence | None]:
    index = open_index(folder)
    pairs = zip(*(column.tolist() for column in batch), strict=True)
    return [verify(first, second, mirrored=mirrored, index=index) for first, second, mirrored in pairs]


def _describe(
    first: int, second: int, evidence: Evidence, *, sizes: NDArray[np.int64], centres: NDArray[np.float64]
) -> tuple[Any, ...]:
    """Return the columns of TWINS from ``kind`` on; lengths in px of the first photograph."""
    (width_a, height_a), (width_b, height_b) = sizes[first].tolist(), sizes[second].tolist()
    scale_a, scale_b = SIDE / max(height_a, width_a), SIDE / max(height_b, width_b)
    linear, offset = evidence.transform[:, :2], evidence.transform[:, 2]
    mapped = linear @ (centres[first] * scale_a) + offset
    same = np.hypot(*(mapped - centres[second] * scale_b)) < _SAME_CELL * SIDE
    corners = scale_a * np.array([(0, 0), (width_a, 0), (0, height_a), (width_a, height_a)])
    moved = np.abs(corners @ linear.T + offset - corners).max()
    middle_a, middle_b = np.array([width_a, height_a]) * scale_a / 2, np.array([width_b, height_b]) * scale_b / 2
    shift = (linear @ middle_a + offset - middle_b) / scale_a
    # A mirror image is turned after it is flipped left to right.
    upright = linear @ np.diag([-1.0, 1.0]) if evidence.mirrored else linear
    rotation = np.degrees(np.arctan2(upright[1, 0] - upright[0, 1], upright[0, 0] + upright[1, 1]))
    return (
        "copy" if moved <= _COPY * SIDE else "same_cell" if same else "overlap",
        evidence.inliers,
        round(evidence.correlation, 3),
        round(evidence.overlap, 3),
        round(float(rotation), 1),
        round(float(np.sqrt(abs(np.linalg.det(linear))) * scale_a / scale_b), 3),
        round(float(shift[0]), 1),
        round(float(shift[1]), 1),
        evidence.mirrored,
    )
