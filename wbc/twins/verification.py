"""The judgement: two photographs show the same field if one affine map explains it."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wbc.data.arrays import Image
from wbc.twins.keypoints import Floats, Index, Keypoints, compared_size, mirror, root

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


class Evidence(NamedTuple):
    """The affine map (2, 3) from the first photograph to the second, both at the compared size."""

    transform: NDArray[np.float64]
    mirrored: bool
    inliers: int
    correlation: float
    overlap: float  # share of the smaller of the two visible areas


def verify(first: int, second: int, *, mirrored: bool, index: Index) -> Evidence | None:
    """Return the evidence that both photographs show the same field, the second one ``mirrored`` or not, or None.

    Matches that did not move come from a copy or from dust in the optics: they are judged apart, and over the whole
    field, where dust alone does not correlate.
    """
    width = compared_size(*index.sizes[second].tolist())[0]
    target = index.keypoints(second)
    start, end = _match(index.keypoints(first), mirror(target, width=width) if mirrored else target)
    still = (np.hypot(*(start - end)[:, :2].T) < _STILL) & (not mirrored)
    best: Evidence | None = None
    for chosen, required in ((~still, _CORRELATION), (still, _STILL_CORRELATION)):
        fitted = _fit(start[chosen], end[chosen])
        if fitted is None:
            continue
        transform, inliers = fitted
        if mirrored:
            transform = np.diag([-1.0, 1.0]) @ transform + [[0, 0, width - 1], [0, 0, 0]]
        correlation, overlap = _correlate(index.image(first), index.image(second), transform=transform)
        if correlation >= required and (best is None or correlation > best.correlation):
            best = Evidence(transform, mirrored, inliers, correlation, overlap)
    return best


def _match(first: Keypoints, second: Keypoints) -> tuple[Floats, Floats]:
    """Return the places (matches, 4) of keypoints that are each other's best and clearly better than the second."""
    if min(len(first.places), len(second.places)) < 2:
        return first.places[:0], second.places[:0]
    products = root(first.descriptors) @ root(second.descriptors).T
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
    votes = np.bincount((turn / 10).astype(int) % 36, minlength=36)
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


def _correlate(first: Image, second: Image, *, transform: NDArray[np.float64]) -> tuple[float, float]:
    """Return the correlation of the overlap of both photographs and its share of the smaller of them.

    The images (height, width) are 0 where nothing can be seen.
    """
    size = first.shape[::-1]
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    moved = cv2.warpAffine(second, transform, size, flags=flags)
    both = (first > 0) & (cv2.warpAffine(255 * (second > 0).astype(np.uint8), transform, size, flags=flags) == 255)
    area = abs(np.linalg.det(transform[:, :2]))
    smaller = max(min(cv2.countNonZero(first), cv2.countNonZero(second) / max(area, 1e-6)), 1)
    share = min(float(both.sum() / smaller), 1.0)
    if share < _OVERLAP:
        return 0.0, share
    weights = both.astype(np.float32)
    left, right = (_without_shading(image, weights)[both] for image in (first, moved))
    return float(np.corrcoef(left, right)[0, 1]), share


def _without_shading(image: Image, weights: Floats) -> Floats:
    """Return the image less its surroundings, (height, width), where ``weights`` is 1: light and stain cancel out."""
    box = (_SHADING, _SHADING)
    return image - cv2.blur(image * weights, box) / np.maximum(cv2.blur(weights, box), 1e-3)
