"""Groups of photographs that are connected by pairs, and what follows from them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from wbc.data.tables import KINDS

Groups = NDArray[np.int64]  # the number of the group of each photograph


def merge_groups(
    ids: Sequence[str], pairs: Sequence[tuple[str, str]], *, supplied: Sequence[str | None] | None = None
) -> list[str]:
    """Return the group of each of ``ids``: the smallest id that it is connected with.

    ``pairs`` connect two ids, and so does an equal label in ``supplied`` (patient or slide; empty or None: unknown).
    Raises KeyError for a pair with an unknown id.
    """
    place = {name: number for number, name in enumerate(ids)}
    edges = [(place[first], place[second]) for first, second in pairs]
    holders: dict[str, int] = {}
    for number, label in enumerate(supplied or ()):
        if label:
            edges.append((holders.setdefault(label, number), number))
    group = components(len(ids), edges)
    smallest: dict[int, str] = {}
    for name, number in zip(ids, group.tolist(), strict=True):
        smallest[number] = min(name, smallest.get(number, name))
    return [smallest[number] for number in group.tolist()]


def find_contradictions(pairs: pd.DataFrame, *, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the ids whose cell carries two classes, each with the smallest id of the same cell and another class.

    ``pairs`` is a table TWINS; only pairs of the same cell count, directly or through others.
    """
    same = pairs[pairs["kind"] != "overlap"]
    names = sorted({*same["id_a"], *same["id_b"]})
    cells = merge_groups(names, list(zip(same["id_a"], same["id_b"], strict=True)))
    members: dict[str, list[str]] = {}
    for name, cell in zip(names, cells, strict=True):
        members.setdefault(cell, []).append(name)
    others = {
        name: [other for other in together if labels[other] != labels[name]]
        for together in members.values()
        for name in together
    }
    return {name: other[0] for name, other in others.items() if other}


def summarise_twins(pairs: pd.DataFrame, *, groups: Sequence[str], labels: Mapping[str, str]) -> dict[str, int]:
    """Return the numbers of pairs of each kind, of ``groups`` of two or more, their images, and of contradictions."""
    sizes = pd.Series(list(groups), dtype=str).value_counts()
    return {
        "pairs": len(pairs),
        **{kind: int((pairs["kind"] == kind).sum()) for kind in KINDS},
        "groups": int((sizes > 1).sum()),
        "grouped_images": int(sizes[sizes > 1].sum()),
        "largest_group": int(sizes.max()) if len(sizes) else 0,
        "contradictory_images": len(find_contradictions(pairs, labels=labels)),
    }


def components(count: int, edges: Sequence[tuple[int, int]]) -> Groups:
    """Return the number of the connected component of each of ``count`` nodes."""
    first, second = np.array(edges, dtype=int).reshape(-1, 2).T
    graph = sparse.coo_matrix((np.ones(len(first)), (first, second)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)
