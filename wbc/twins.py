"""Finds photographs that show the same field or the same cell: copies, overlapping fields, re-photographed cells.

A sieve proposes pairs: SIFT keypoints (Lowe 2004) as RootSIFT (Arandjelovic & Zisserman 2012), quantised to a two-level
vocabulary that grows with the set (Sivic & Zisserman 2003; Nister & Stewenius 2006), so that the work grows almost
linearly. A pair holds when RANSAC finds one affine map for enough keypoints and the mapped photographs correlate.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from wbc.arrays import Image
from wbc.decoding import read_photograph
from wbc.draws import generator
from wbc.manifest import KINDS, TWINS, check_table
from wbc.parallel import map_parallel
from wbc.quality import black_corners

Floats = NDArray[np.float32]
Groups = NDArray[np.int64]  # the number of the group of each photograph

_SIDE = 240  # px, the longer side at which photographs are compared
_KEYPOINTS = 256  # of one photograph, the strongest
_CONTRAST = 0.01  # of a keypoint; below OpenCV's 0.04, for stained cells have soft edges
_EDGE = 20.0  # ratio of curvatures beyond which a keypoint is a mere edge
_POSTINGS = 6  # keypoints to one word of the vocabulary
_WORDS = 65_536  # of the vocabulary, at most
_COMPONENTS = 32  # of a descriptor, kept for the sieve
_POOL = 80  # best-ranked photographs kept for each
_ROUNDS = (2, 4, 8, 16)  # how many of them are compared with each; a later round looks beyond the groups found so far
_SMALL_SET = 1000  # photographs up to which a pair is compared both ways; words of few tell a mirror image badly
_SMALL_GROUP = 6  # photographs up to which every ranked pair of a group is compared
_RATIO = 0.9  # distance to the best match over that to the second best
_STILL = 1.5  # px at the compared size: matches that did not move may be dust in the optics
_TOLERANCE = 3.0  # px at the compared size between a mapped keypoint and its match
_TURN = 25.0  # degrees by which the rotation of a match may differ from that of the others
_ZOOM = 1.0  # octaves by which its scale may
_INLIERS = 7  # keypoints that one map must explain
_CORRELATION = 0.6  # of the overlap, after smooth shading is taken off
_OVERLAP = 0.02  # share of the smaller field below which nothing can be said
_STILL_CORRELATION = 0.8  # where nothing moved: dust alone correlates with itself, a copy as a whole
_SHADING = 31  # px at the compared size, side of the box whose mean is taken off
_STRETCH = (0.35, 2.9)  # of a plausible map: its smallest and largest gain in length
_ANISOTROPY = 1.7  # its largest gain over its smallest
_SAME_CELL = 0.1  # of the longer side, between the nucleus mapped and the nucleus found
_COPY = 0.01  # of the longer side, how far the corners of a plain copy move
_BATCH = 64  # pairs handed to a worker at once


class Keypoints(NamedTuple):
    """SIFT keypoints of one photograph, at the compared size."""

    places: Floats  # (keypoints, 4): x and y in px, diameter in px, angle in degrees
    descriptors: NDArray[np.uint8]  # (keypoints, 128)
    size: tuple[int, int]  # px of the file, width and height


class _Index(NamedTuple):
    """The keypoints of all photographs, in files that workers map into memory."""

    places: Floats
    descriptors: NDArray[np.uint8]
    starts: NDArray[np.int64]  # (photographs + 1,)
    sizes: NDArray[np.int64]  # (photographs, 2): width and height in px of the files

    def keypoints(self, photograph: int) -> Keypoints:
        part = slice(self.starts[photograph], self.starts[photograph + 1])
        return Keypoints(
            self.places[part], self.descriptors[part], (int(self.sizes[photograph, 0]), int(self.sizes[photograph, 1]))
        )


class _Candidate(NamedTuple):
    first: int
    second: int
    mirrored: bool


class Evidence(NamedTuple):
    """The affine map (2, 3) from the first photograph to the second, both at the compared size."""

    transform: NDArray[np.float64]
    mirrored: bool
    inliers: int
    correlation: float
    overlap: float  # share of the smaller of the two visible areas


def find_twins(
    ids: Sequence[str], paths: Sequence[Path], *, nuclei: NDArray[np.float64] | None = None, seed: int = 0
) -> pd.DataFrame:
    """Return the pairs of photographs that show the same field, in part or whole, as a table TWINS of wbc.manifest.

    ``nuclei`` (photographs, 2) holds x and y of the nucleus in px, NaN where none was found: a pair whose nuclei
    fall on each other shows the same cell. ``seed`` draws the vocabulary. Files that do not decode have no twins.
    Among more than two photographs of one field not every pair is listed, but all are connected.
    The result is the same with any number of workers.
    """
    order = np.argsort(np.asarray(ids, dtype=object), kind="stable")
    names, files = [ids[place] for place in order], [paths[place] for place in order]
    centres = np.full((len(ids), 2), np.nan) if nuclei is None else np.asarray(nuclei, dtype=float)[order]
    rows: list[dict[str, object]] = []
    with TemporaryDirectory() as folder:
        index = _build_index(files, folder=Path(folder))
        ranking = _rank(index, seed=seed)
        tested: set[tuple[int, int]] = set()
        group: Groups = np.arange(len(files))
        found: list[tuple[int, int]] = []
        for neighbours in (*_ROUNDS, None):
            candidates = _propose(ranking, group=group, tested=tested, neighbours=neighbours)
            tested |= {(candidate.first, candidate.second) for candidate in candidates}
            batches = [candidates[start : start + _BATCH] for start in range(0, len(candidates), _BATCH)]
            compared = map_parallel(partial(_compare, index=index, files=files), batches, description="twins")
            for batch, results in zip(batches, compared, strict=True):
                for pair, evidence in zip(batch, results, strict=True):
                    if evidence is not None:
                        rows.append(_describe(pair, evidence, names=names, sizes=index.sizes, centres=centres))
                        found.append((pair.first, pair.second))
            group = _components(len(files), found)
    table = pd.DataFrame(rows, columns=list(TWINS.columns))
    table = table.astype({name: column.dtype.type for name, column in TWINS.columns.items()})
    table = table.sort_values(["id_a", "id_b"], ignore_index=True)
    return check_table(table, TWINS, where="the table of twins")


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
    group = _components(len(ids), edges)
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


def _components(count: int, edges: Sequence[tuple[int, int]]) -> Groups:
    """Return the number of the connected component of each of ``count`` nodes."""
    first, second = np.array(edges, dtype=int).reshape(-1, 2).T
    graph = sparse.coo_matrix((np.ones(len(first)), (first, second)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


class _Compared(NamedTuple):
    """A photograph at the compared size."""

    image: Image  # (height, width), the green channel, which both stains absorb
    mask: NDArray[np.uint8]  # 255 but for the black corners of a rotated copy
    size: tuple[int, int]  # px of the file, width and height


def _read_compared(path: Path) -> _Compared | None:
    """Return the photograph with its longer side shrunk or grown to _SIDE, or None when it does not decode."""
    photograph = read_photograph(path)
    if photograph is None:
        return None
    scale = _SIDE / max(photograph.shape[:2])
    size = max(round(scale * photograph.shape[1]), 1), max(round(scale * photograph.shape[0]), 1)
    small = cv2.resize(photograph, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return _Compared(small[:, :, 1], _visible(small), (photograph.shape[1], photograph.shape[0]))


def _visible(image: Image) -> NDArray[np.uint8]:
    """Return a mask (height, width), 255 but for black corners and a few pixels round them."""
    return 255 * (1 - cv2.dilate(black_corners(image).astype(np.uint8), np.ones((7, 7), np.uint8)))


def find_keypoints(path: Path) -> Keypoints:
    """Return the strongest keypoints of the photograph at ``path``, none where it does not decode."""
    read = _read_compared(path)
    if read is None:
        return Keypoints(np.empty((0, 4), np.float32), np.empty((0, 128), np.uint8), (_SIDE, _SIDE))
    detector = cv2.SIFT.create(nfeatures=_KEYPOINTS, contrastThreshold=_CONTRAST, edgeThreshold=_EDGE)
    found, descriptors = detector.detectAndCompute(read.image, read.mask)
    places = np.array([(*point.pt, point.size, point.angle) for point in found], np.float32).reshape(-1, 4)
    if descriptors is None:
        descriptors = np.empty((0, 128), np.float32)
    return Keypoints(places[:_KEYPOINTS], descriptors[:_KEYPOINTS].astype(np.uint8), read.size)


def _build_index(files: Sequence[Path], *, folder: Path) -> _Index:
    """Find the keypoints of all photographs and keep them in ``folder``, so that memory does not grow with them."""
    counts, sizes = [], []
    with (folder / "places").open("wb") as place_file, (folder / "descriptors").open("wb") as descriptor_file:
        for found in map_parallel(find_keypoints, files, description="keypoints"):
            place_file.write(found.places.tobytes())
            descriptor_file.write(found.descriptors.tobytes())
            counts.append(len(found.places))
            sizes.append(found.size)
    total = sum(counts)
    if total == 0:
        places, descriptors = np.empty((0, 4), np.float32), np.empty((0, 128), np.uint8)
        return _Index(places, descriptors, np.zeros(len(files) + 1, np.int64), np.array(sizes, np.int64))
    return _Index(
        places=np.memmap(folder / "places", np.float32, "r", shape=(total, 4)),
        descriptors=np.memmap(folder / "descriptors", np.uint8, "r", shape=(total, 128)),
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        sizes=np.array(sizes, np.int64),
    )


def _root(descriptors: NDArray[np.uint8]) -> Floats:
    """Return RootSIFT (keypoints, 128): unit vectors whose products are the Bhattacharyya coefficients."""
    values = descriptors.astype(np.float32)
    return np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1))


# The descriptor of a mirrored photograph: 4 x 4 places of 8 directions, each, in the keypoint's own upright frame.
_MIRROR = np.arange(128).reshape(4, 4, 8)[::-1][:, :, -np.arange(8) % 8].ravel()


class _Ranking(NamedTuple):
    """The best-ranked partners of each photograph: rows of one table, by first, then by falling score."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    mirrored: NDArray[np.bool_]


def _rank(index: _Index, *, seed: int) -> _Ranking:
    """Compare all photographs by the words that they share, weighted by rarity (tf-idf, cosine)."""
    count = len(index.starts) - 1
    if len(index.descriptors) < 2 * _POSTINGS:
        return _Ranking(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool))
    owners = np.repeat(np.arange(count), np.diff(index.starts))
    words, mirrored_words, vocabulary = _quantise(index.descriptors, seed=seed)
    plain, mirrored = (
        sparse.csr_matrix((np.ones(len(owners), np.float32), (owners, used)), shape=(count, vocabulary))
        for used in (words, mirrored_words)
    )
    rarity = np.log1p(count / np.maximum(np.bincount(plain.indices, minlength=vocabulary), 1))
    plain, mirrored = (_weighted(table, rarity=rarity) for table in (plain, mirrored))
    parts: list[tuple[NDArray, ...]] = []
    for start in range(0, count, 512):
        rows = plain[start : start + 512]
        straight, flipped = rows @ plain.T, rows @ mirrored.T
        best = straight.maximum(flipped).tocoo()
        first, second, score = best.row + start, best.col, best.data
        keep = first != second
        first, second, score = first[keep], second[keep], score[keep]
        order = np.lexsort((second, -score, first))
        first, second, score = first[order], second[order], score[order]
        position = np.arange(len(first)) - np.searchsorted(first, first)
        first, second, score = (values[position < _POOL] for values in (first, second, score))
        flips = np.asarray(flipped[first - start, second]).ravel() >= score if len(first) else np.empty(0, bool)
        parts.append((first, second, flips))
    return _Ranking(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _weighted(table: sparse.csr_matrix, *, rarity: NDArray[np.float64]) -> sparse.csr_matrix:
    weighted = (table.sqrt() @ sparse.diags(rarity)).astype(np.float32)
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return (sparse.diags((1 / np.maximum(lengths, 1e-6)).astype(np.float32)) @ weighted).tocsr()


def _quantise(descriptors: NDArray[np.uint8], *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the word of each descriptor, that of its mirror image, and the number of words.

    Words are descriptors drawn from the set: about the root of their number as coarse words, the others as fine
    words below their nearest coarse one, so that a descriptor is compared with few of them.
    """
    count = min(len(descriptors) // _POSTINGS, _WORDS)
    drawn = generator(seed, "vocabulary").permutation(len(descriptors))[:count]
    exemplars = _root(descriptors[np.sort(drawn)])
    axes = np.linalg.eigh(np.cov(exemplars.T))[1][:, -_COMPONENTS:].astype(np.float32)  # principal components
    exemplars = exemplars @ axes
    coarse = exemplars[:: max(round(np.sqrt(count)), 1)]
    branch = np.concatenate([_nearest(part, coarse) for part in np.array_split(exemplars, len(exemplars) // 4096 + 1)])
    members = [np.flatnonzero(branch == number) for number in range(len(coarse))]
    words = np.empty((2, len(descriptors)), np.int64)
    for start in range(0, len(descriptors), 65536):
        block = descriptors[start : start + 65536]
        for version, used in enumerate((block, block[:, _MIRROR])):
            vectors = _root(used) @ axes
            above = np.concatenate([_nearest(part, coarse) for part in np.array_split(vectors, 16)])
            for number in np.unique(above):
                rows = np.flatnonzero(above == number)
                fine = members[number]
                words[version, start + rows] = fine[_nearest(vectors[rows], exemplars[fine])]
    return words[0], words[1], count


def _nearest(vectors: Floats, exemplars: Floats) -> NDArray[np.int64]:
    return (vectors @ exemplars.T - 0.5 * (exemplars**2).sum(axis=1)).argmax(axis=1)


def _propose(
    ranking: _Ranking, *, group: Groups, tested: set[tuple[int, int]], neighbours: int | None
) -> list[_Candidate]:
    """Return each photograph's best-ranked partners that were not yet compared with it.

    They are so many ``neighbours`` outside its group or, with None, all those inside a small group.
    """
    apart = group[ranking.first] != group[ranking.second]
    if neighbours is None:
        apart = ~apart & (np.bincount(group)[group] <= _SMALL_GROUP)[ranking.first]
        neighbours = _SMALL_GROUP
    proposed: dict[tuple[int, int], bool] = {}
    taken = np.zeros(len(group), int)
    for first, second, mirrored in zip(
        *(column[apart].tolist() for column in (ranking.first, ranking.second, ranking.mirrored)), strict=True
    ):
        pair = min(first, second), max(first, second)
        if taken[first] < neighbours and pair not in tested:
            taken[first] += 1
            proposed.setdefault(pair, mirrored)
    return [_Candidate(*pair, mirrored) for pair, mirrored in sorted(proposed.items())]


def _compare(batch: Sequence[_Candidate], *, index: _Index, files: Sequence[Path]) -> list[Evidence | None]:
    both_ways = len(files) <= _SMALL_SET
    results = []
    for first, second, mirrored in batch:
        evidence = None
        for flipped in (mirrored, not mirrored) if both_ways else (mirrored,):
            evidence = evidence or _verify(
                index.keypoints(first),
                index.keypoints(second),
                mirrored=flipped,
                files=(files[first], files[second]),
            )
        results.append(evidence)
    return results


def _verify(first: Keypoints, second: Keypoints, *, mirrored: bool, files: tuple[Path, Path]) -> Evidence | None:
    """Return the evidence that both photographs show the same field, or None.

    Matches that did not move come from a copy or from dust in the optics: they are judged apart, and over the whole
    field, where dust alone does not correlate.
    """
    start, end = _match(first, _mirror(second) if mirrored else second)
    still = (np.hypot(*(start - end)[:, :2].T) < _STILL) & (not mirrored)
    best: Evidence | None = None
    for chosen, required in ((~still, _CORRELATION), (still, _STILL_CORRELATION)):
        fitted = _fit(start[chosen], end[chosen])
        if fitted is None:
            continue
        transform, inliers = fitted
        if mirrored:
            transform = np.diag([-1.0, 1.0]) @ transform + [[0, 0, _compared_width(second) - 1], [0, 0, 0]]
        correlation, overlap = _correlate(*files, transform=transform)
        if correlation >= required and (best is None or correlation > best.correlation):
            best = Evidence(transform, mirrored, inliers, correlation, overlap)
    return best


def _mirror(keypoints: Keypoints) -> Keypoints:
    """Return the keypoints of the photograph mirrored left to right."""
    x, y, size, angle = keypoints.places.T
    places = np.stack([_compared_width(keypoints) - 1 - x, y, size, (180 - angle) % 360], axis=1)
    return Keypoints(places, keypoints.descriptors[:, _MIRROR], keypoints.size)


def _compared_width(keypoints: Keypoints) -> int:
    return round(keypoints.size[0] * _SIDE / max(keypoints.size))


def _match(first: Keypoints, second: Keypoints) -> tuple[Floats, Floats]:
    """Return the places (matches, 4) of keypoints that are each other's best and clearly better than the second."""
    if min(len(first.places), len(second.places)) < 2:
        return first.places[:0], second.places[:0]
    products = _root(first.descriptors) @ _root(second.descriptors).T
    rows = np.arange(len(products))
    nearest = products.argmax(axis=1)
    mutual = products.argmax(axis=0)[nearest] == rows
    best = products[rows, nearest]
    products[rows, nearest] = -1
    clear = 1 - best < _RATIO**2 * (1 - products.max(axis=1))  # squared distances of unit vectors
    chosen = mutual & clear
    return first.places[chosen], second.places[nearest[chosen]]


def _fit(start: Floats, end: Floats) -> tuple[NDArray[np.float64], int] | None:
    """Return the affine map that explains the most matches, and their number, or None where it is too few or absurd.

    Only matches that agree on rotation and scale with most others take part (Lowe 2004).
    """
    if len(start) < _INLIERS:
        return None
    turn = (end[:, 3] - start[:, 3]) % 360
    votes = np.histogram(turn, bins=36, range=(0, 360))[0]
    centre = 10 * (votes + np.roll(votes, 1) + np.roll(votes, -1)).argmax() + 5
    agreeing = np.abs((turn - centre + 180) % 360 - 180) < _TURN
    zoom = np.log2(end[:, 2] / start[:, 2])
    agreeing &= np.abs(zoom - np.median(zoom[agreeing])) < _ZOOM
    if agreeing.sum() < _INLIERS:
        return None
    transform, inliers = cv2.estimateAffine2D(
        start[agreeing, :2], end[agreeing, :2], method=cv2.RANSAC, ransacReprojThreshold=_TOLERANCE, maxIters=1000
    )
    if transform is None or inliers.sum() < _INLIERS:
        return None
    gains = np.linalg.svd(transform[:, :2], compute_uv=False)
    if gains[1] < _STRETCH[0] or gains[0] > _STRETCH[1] or gains[0] > _ANISOTROPY * gains[1]:
        return None
    return transform, int(inliers.sum())


def _correlate(first: Path, second: Path, *, transform: NDArray[np.float64]) -> tuple[float, float]:
    """Return the correlation of the overlap of both photographs and its share of the smaller of them."""
    one, other = _read_compared(first), _read_compared(second)
    if one is None or other is None:
        return 0.0, 0.0
    size = one.image.shape[::-1]
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    moved = cv2.warpAffine(other.image, transform, size, flags=flags)
    both = (cv2.warpAffine(other.mask, transform, size, flags=flags) == 255) & (one.mask == 255)
    area = abs(np.linalg.det(transform[:, :2]))
    smaller = max(min(cv2.countNonZero(one.mask), cv2.countNonZero(other.mask) / max(area, 1e-6)), 1)
    share = min(float(both.sum() / smaller), 1.0)
    if share < _OVERLAP:
        return 0.0, share
    weights = both.astype(np.float32)
    left, right = (_without_shading(image, weights)[both] for image in (one.image, moved))
    return float(np.corrcoef(left, right)[0, 1]), share


def _without_shading(image: Image, weights: Floats) -> Floats:
    """Return the image less its surroundings, (height, width), where ``weights`` is 1: light and stain cancel out."""
    box = (_SHADING, _SHADING)
    return image - cv2.blur(image * weights, box) / np.maximum(cv2.blur(weights, box), 1e-3)


def _describe(
    pair: _Candidate,
    evidence: Evidence,
    *,
    names: Sequence[str],
    sizes: NDArray[np.int64],
    centres: NDArray[np.float64],
) -> dict[str, object]:
    """Return the row of one pair; lengths in px of the first photograph."""
    first, second = pair.first, pair.second
    (width_a, height_a), (width_b, height_b) = sizes[first].tolist(), sizes[second].tolist()
    scale_a, scale_b = _SIDE / max(height_a, width_a), _SIDE / max(height_b, width_b)
    linear, offset = evidence.transform[:, :2], evidence.transform[:, 2]
    mapped = linear @ (centres[first] * scale_a) + offset
    same = np.hypot(*(mapped - centres[second] * scale_b)) < _SAME_CELL * _SIDE
    corners = scale_a * np.array([(0, 0), (width_a, 0), (0, height_a), (width_a, height_a)])
    moved = np.abs(corners @ linear.T + offset - corners).max()
    middle_a, middle_b = np.array([width_a, height_a]) * scale_a / 2, np.array([width_b, height_b]) * scale_b / 2
    shift = (linear @ middle_a + offset - middle_b) / scale_a
    # A mirror image is turned after it is flipped left to right.
    upright = linear @ np.diag([-1.0, 1.0]) if evidence.mirrored else linear
    rotation = np.degrees(np.arctan2(upright[1, 0] - upright[0, 1], upright[0, 0] + upright[1, 1]))
    kind = "copy" if moved <= _COPY * _SIDE else "same_cell" if same else "overlap"
    return {
        "id_a": names[first],
        "id_b": names[second],
        "kind": kind,
        "inliers": evidence.inliers,
        "correlation": round(evidence.correlation, 3),
        "overlap": round(evidence.overlap, 3),
        "rotation": round(float(rotation), 1),
        "scale": round(float(np.sqrt(abs(np.linalg.det(linear))) * scale_a / scale_b), 3),
        "shift_x": round(float(shift[0]), 1),
        "shift_y": round(float(shift[1]), 1),
        "mirrored": evidence.mirrored,
    }
