"""The sieve: which photographs may show the same field, at a cost that hardly grows with the set.

Descriptors are quantised to the words of a two-level vocabulary that grows with the set (Sivic & Zisserman 2003; Nister
& Stewenius 2006). Two photographs share a word where both hold it; such votes count, weighted by the word's rarity, as
far as they agree on one rotation (weak geometric consistency, Jegou et al. 2008).
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wbc.base.draws import generator
from wbc.tools.parallel import map_parallel
from wbc.twins.keypoints import MIRROR, Floats, Index, mirrored_angles, open_index, root

_POSTINGS = 6  # keypoints to one word of the vocabulary
_WORDS = 131_072  # of the vocabulary, at most
_COMPONENTS = 32  # of a descriptor, kept for the sieve
_TURNS = 16  # bins of rotation; votes of two neighbouring bins count together
_VOTES = 4  # that must agree on a rotation
_POOL = 64  # best-ranked photographs kept for each
_BATCH = 64  # photographs handed to a worker at once
_BLOCK = 1_024  # descriptors treated at once
_SORTED = 256  # photographs whose words are sorted at once


class Proposals(NamedTuple):
    """The best-ranked partners of each photograph: rows of one table, by first, then by falling score."""

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    mirrored: NDArray[np.bool_]


def propose_partners(index: Index, *, seed: int, boundary: int | None = None) -> Proposals:
    """Return for each photograph those that share most with it. ``seed`` draws the vocabulary.

    With a ``boundary``, for each photograph before it those from it on. Beside the index it keeps files of its own in
    the index' folder.
    """
    count, first = len(index.sizes), boundary or 0
    asking = count if boundary is None else boundary
    words = min(int(index.starts[-1] - index.starts[first]) // _POSTINGS, _WORDS)
    if words < 2:
        return Proposals(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, bool))
    _write_vocabulary(index, words=words, seed=seed)
    batches = [(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH)]
    with (index.folder / "words").open("wb") as plain, (index.folder / "mirrored").open("wb") as mirrored:
        for found in map_parallel(
            partial(_quantise, folder=index.folder), batches, description="words", unit="batch", batch_size=1
        ):
            plain.write(found[0].tobytes())
            mirrored.write(found[1].tobytes())
    _write_postings(index, words=words, first=first)
    batches = [(start, min(start + _BATCH, asking)) for start in range(0, asking, _BATCH)]
    rows = asking * _POOL
    columns = Proposals(
        *(
            _mapped(index.folder / f"ranking-{name}", dtype, shape=(rows,))
            for name, dtype in {"first": np.int32, "second": np.int32, "mirrored": bool}.items()
        )
    )
    filled = 0
    for part in map_parallel(
        partial(_rank, folder=index.folder), batches, description="ranking", unit="batch", batch_size=1
    ):
        end = filled + len(part.first)
        for column, values in zip(columns, part, strict=True):
            column[filled:end] = values
        filled = end
    return Proposals(columns.first[:filled], columns.second[:filled], columns.mirrored[:filled])


def _write_vocabulary(index: Index, *, words: int, seed: int) -> None:
    """Write the words: descriptors drawn from the set, projected on their principal components.

    About the root of their number are coarse words, too; all are fine words below their nearest coarse one, so that a
    descriptor is compared with few of them.
    """
    total = int(index.starts[-1])
    keypoints = _mapped(index.folder / "drawn", np.int32, shape=(total,))
    for start in range(0, total, _BLOCK):
        keypoints[start : start + _BLOCK] = np.arange(start, min(start + _BLOCK, total))
    generator(seed, "vocabulary").shuffle(np.asarray(keypoints))
    drawn = np.sort(keypoints[:words])
    chosen = _mapped(index.folder / "chosen", np.uint8, shape=(words, 128))
    for start in range(0, total, _BLOCK):
        low, high = np.searchsorted(drawn, (start, start + _BLOCK))
        every = np.fromfile(
            index.folder / "descriptors", np.uint8, count=128 * min(_BLOCK, total - start), offset=128 * start
        )
        chosen[low:high] = every.reshape(-1, 128)[drawn[low:high] - start]
    parts = range(0, words, _BLOCK)
    products, sums = np.zeros((128, 128)), np.zeros(128)
    for start in parts:
        values = root(chosen[start : start + _BLOCK])
        products += values.T @ values
        sums += values.sum(axis=0)
    covariance = products / words - np.outer(sums, sums) / words**2
    axes = np.linalg.eigh(covariance)[1][:, -_COMPONENTS:].astype(np.float32)  # principal components
    exemplars = _mapped(index.folder / "exemplars", np.float32, shape=(words, _COMPONENTS))
    for start in parts:
        exemplars[start : start + _BLOCK] = root(chosen[start : start + _BLOCK]) @ axes
    coarse = np.array(exemplars[:: max(round(np.sqrt(words)), 1)])
    branch = np.concatenate([_nearest(part, coarse) for part in _split(exemplars)])
    order = np.argsort(branch, kind="stable")
    np.savez(
        index.folder / "vocabulary.npz",
        axes=axes,
        coarse=coarse,
        bounds=np.searchsorted(branch[order], np.arange(len(coarse) + 1)),  # of the fine words below each coarse one
    )
    fine = np.lib.format.open_memmap(index.folder / "fine.npy", "w+", np.float32, exemplars.shape)
    for start in parts:
        fine[start : start + _BLOCK] = exemplars[order[start : start + _BLOCK]]


def _mapped(path: Path, dtype: type, *, shape: tuple[int, ...]) -> np.memmap:
    """Return an array to write to, whose pages the kernel may put into the file at ``path`` when it needs memory."""
    return np.memmap(path, dtype, "w+", shape=shape)


def _project(descriptors: NDArray[np.uint8], axes: Floats) -> Floats:
    return np.concatenate([root(part) @ axes for part in _split(descriptors)])


def _split(rows: NDArray) -> list[NDArray]:
    return np.array_split(rows, len(rows) // _BLOCK + 1)


def _nearest(vectors: Floats, exemplars: Floats) -> NDArray[np.int64]:
    return (vectors @ exemplars.T - 0.5 * (exemplars**2).sum(axis=1)).argmax(axis=1)


def _quantise(batch: tuple[int, int], *, folder: Path) -> NDArray[np.int32]:
    """Return the words (2, keypoints) of the descriptors of some photographs, and those of their mirror images."""
    vocabulary, fine = np.load(folder / "vocabulary.npz"), np.load(folder / "fine.npy", mmap_mode="r")
    axes, coarse, bounds = (vocabulary[name] for name in ("axes", "coarse", "bounds"))
    descriptors = open_index(folder).descriptors(*batch)
    vectors = np.concatenate([_project(descriptors, axes), _project(descriptors[:, MIRROR], axes)])
    above = np.concatenate([_nearest(part, coarse) for part in _split(vectors)])
    order = np.argsort(above, kind="stable")
    ends = np.searchsorted(above[order], np.arange(len(coarse) + 1))
    words = np.empty(len(vectors), np.int32)
    for number in np.flatnonzero(np.diff(ends)):
        rows = order[ends[number] : ends[number + 1]]
        words[rows] = bounds[number] + _nearest(vectors[rows], fine[bounds[number] : bounds[number + 1]])
    return words.reshape(2, -1)


def _write_postings(index: Index, *, words: int, first: int) -> None:
    """Write for each word the photographs from ``first`` on that hold it, and at which angles, as bytes of a full turn.

    Photographs are taken block by block and every block fills up the places of its words (counting sort).
    """
    count, total = len(index.sizes), int(index.starts[-1] - index.starts[first])
    blocks = [(start, min(start + _SORTED, count)) for start in range(first, count, _SORTED)]
    counts = np.zeros(words, np.int64)
    for block in blocks:
        counts += np.bincount(_read_words("words", index, *block), minlength=words)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    rarity = np.log1p((count - first) / np.maximum(counts, 1)).astype(np.float32)
    free, lengths = bounds[:-1].copy(), np.zeros(count, np.float32)
    holders = _mapped(index.folder / "holders", np.int32, shape=(total,))
    turns = _mapped(index.folder / "turns", np.uint8, shape=(total,))
    for start, end in blocks:
        found = _read_words("words", index, start, end)
        owners = np.repeat(np.arange(start, end), np.diff(index.starts[start : end + 1]))
        lengths[start:end] = np.sqrt(np.bincount(owners - start, weights=rarity[found] ** 2, minlength=end - start))
        order = np.argsort(found, kind="stable")
        found = found[order]
        places = free[found] + _numbers_among_equals(found)
        holders[places] = owners[order]
        turns[places] = _turns(index.places(start, end)[order, 3])
        free += np.bincount(found, minlength=words)
    np.savez(index.folder / "words.npz", bounds=bounds, rarity=rarity, lengths=lengths)


def _read_words(name: str, index: Index, first: int, end: int) -> NDArray[np.int32]:
    start, stop = index.starts[first], index.starts[end]
    return np.fromfile(index.folder / name, np.int32, count=int(stop - start), offset=4 * int(start))


def _turns(angles: Floats) -> NDArray[np.uint8]:
    """Return angles in degrees as bytes, whose differences wrap as angles do."""
    return np.floor(angles * (256 / 360)).astype(np.int64).astype(np.uint8)


class _Postings(NamedTuple):
    holders: NDArray[np.int32]  # (keypoints,): the photograph of each keypoint, by word
    turns: NDArray[np.uint8]  # (keypoints,): its angle
    bounds: NDArray[np.int64]  # (words + 1,): where those of each word begin
    rarity: NDArray[np.float32]  # (words,)
    lengths: NDArray[np.float32]  # (photographs,): of the vector of its words


def _rank(batch: tuple[int, int], *, folder: Path) -> Proposals:
    """Return the rows of some photographs."""
    index, tables = open_index(folder), np.load(folder / "words.npz")
    postings = _Postings(
        np.memmap(folder / "holders", np.int32, "r"),
        np.memmap(folder / "turns", np.uint8, "r"),
        *(tables[name] for name in ("bounds", "rarity", "lengths")),
    )
    parts = [_rank_one(photograph, index=index, postings=postings) for photograph in range(*batch)]
    return Proposals(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _rank_one(photograph: int, *, index: Index, postings: _Postings) -> Proposals:
    angles = index.places(photograph, photograph + 1)[:, 3]
    angles = np.concatenate([angles, mirrored_angles(angles)])
    words = np.concatenate([_read_words(name, index, photograph, photograph + 1) for name in ("words", "mirrored")])
    held = postings.bounds[words + 1] - postings.bounds[words]
    votes = np.repeat(np.arange(len(words)), held)  # the keypoint, plain or mirrored, that each vote is of
    places = _concatenated_ranges(postings.bounds[words], held)
    turned = (postings.turns[places] - _turns(angles)[votes]) // (256 // _TURNS)
    mirrored = votes >= len(words) // 2
    # Votes for one photograph, straight or mirrored, and one rotation are a cell of a table with few cells filled.
    cell = (postings.holders[places].astype(np.int64) * 2 + mirrored) * _TURNS + turned
    cells, of_cell, counts = np.unique(cell, return_inverse=True, return_counts=True)
    weights = np.bincount(of_cell, weights=postings.rarity[words[votes]] ** 2)
    counts, weights = (_with_next_rotation(cells, values) for values in (counts, weights))
    enough = (counts >= _VOTES) & (cells // (2 * _TURNS) != photograph)
    second, flips = np.divmod(cells[enough] // _TURNS, 2)
    score = weights[enough] / postings.lengths[second]
    order = np.lexsort((flips, second, -score))
    first_of_each = np.sort(np.unique(second[order], return_index=True)[1])[:_POOL]
    best = order[first_of_each]
    return Proposals(np.full(len(best), photograph, np.int32), second[best].astype(np.int32), flips[best].astype(bool))


def _numbers_among_equals(values: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return how many equal ones stand before each of the sorted ``values``.

    >>> _numbers_among_equals(np.array([3, 3, 5, 5, 5])).tolist()
    [0, 1, 0, 1, 2]
    """
    return np.arange(len(values)) - np.searchsorted(values, values)


def _concatenated_ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the whole numbers of each range in turn.

    >>> _concatenated_ranges(np.array([40, 7]), np.array([2, 3])).tolist()
    [40, 41, 7, 8, 9]
    """
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def _with_next_rotation(cells: NDArray[np.int64], values: NDArray) -> NDArray:
    """Return the value of each of the sorted ``cells`` and of the same photograph's next rotation, if it is filled.

    The last of _TURNS = 16 rotations is followed by the first:

    >>> _with_next_rotation(np.array([0, 1, 15, 16]), np.array([10, 20, 30, 40])).tolist()
    [30, 20, 40, 40]
    """
    following = cells - cells % _TURNS + (cells + 1) % _TURNS
    where = np.minimum(np.searchsorted(cells, following), len(cells) - 1)
    return values + (cells[where] == following) * values[where]
