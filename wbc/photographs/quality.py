"""Measures how usable a photograph is, and flags what stands out in its set. Flags never drop anything."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wbc.data.arrays import Image

FLAGS = {
    "cut_by_frame": "the cell reaches beyond the frame",
    "no_nucleus": "nothing blue-violet of a nucleus' size was found",
    "several_nuclei": "a second body is nearly as large as the nucleus and apart from it",
    "out_of_focus": "the nucleus is much softer than usual in this set",
    "too_dark": "the empty slide is dark",
    "too_bright": "much of the photograph is at the upper end of its range",
    "black_corners": "black regions at the frame, as a rotated copy has them",
    "unusual_size": "most photographs of this set have another size",
    "greyscale": "the photograph holds no colour",
}

_BLACK = 12  # level of all channels up to which pixels at the frame may be the corners of a rotated copy
_BLACK_SHARE = 0.002  # of all pixels
_RIM = 0.2  # of the root of the nucleus' area: the cytoplasm that the cell has at least, beyond its nucleus
_SMALLEST = 0.001  # of the photograph's area, for a nucleus
_SECOND = 0.38  # area of a second body over that of the nucleus
_APART = 0.3  # gap between the two boxes over the root of the nucleus' area; the lobes of one nucleus are nearer
_SOFT = 0.65  # of the set's median sharpness
_DARK = 110  # level of the empty slide, 0 to 255
_BRIGHT = 250  # level that counts as the upper end
_BRIGHT_SHARE = 0.5  # of all pixels
_COLOUR = 2.0  # levels, the mean spread of the channels of a photograph in colour
_USUAL_SHARE = 0.5  # of the set, for a size to be the usual one


class Measures(NamedTuple):
    """What is measured on one photograph, whatever the others are like."""

    width: int  # px
    height: int
    nuclei: int
    cut: bool
    sharpness: float  # steepest slope of the edges round the nucleus, share of the contrast per px
    background: float  # level of the empty slide, 0 to 255
    bright: float  # share of pixels at the upper end of the range
    black: float  # share of pixels in black corners
    spread: float  # mean over the pixels of their largest less their smallest channel


def black_corners(image: Image) -> NDArray[np.bool_]:
    """Return where (height, width) an image (height, width, 3) is black in one piece with its frame."""
    black = cv2.inRange(image, (0, 0, 0), (_BLACK, _BLACK, _BLACK))
    black = cv2.morphologyEx(black, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    if not black.any():
        return np.zeros(image.shape[:2], dtype=bool)
    _, regions = cv2.connectedComponents(black, connectivity=4)
    frame = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    return np.isin(regions, frame[frame > 0])


def measure_quality(photograph: Image, bodies: NDArray[np.int32]) -> Measures:
    """Measure an RGB photograph (height, width, 3).

    ``bodies`` (bodies, 5) are left, top, width, height and area in px of its blue-violet bodies, the largest first.
    """
    height, width = photograph.shape[:2]
    grey = cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY)
    corners = black_corners(photograph)
    seen = photograph[~corners] if corners.any() else photograph.reshape(-1, 3)
    large = bodies[bodies[:, 4] >= _SMALLEST * height * width]
    return Measures(
        width=width,
        height=height,
        nuclei=_count_nuclei(large),
        cut=bool(len(large)) and _is_cut(large[0], corners=corners),
        sharpness=_sharpness(photograph, large[0] if len(large) else np.array([0, 0, width, height, 0])),
        background=float(np.percentile(grey[~corners], 95)) if seen.size else 0.0,
        bright=float((seen >= _BRIGHT).all(axis=1).mean()) if seen.size else 0.0,
        black=float(corners.mean()),
        spread=float(np.ptp(seen[::7], axis=1).mean()) if seen.size else 0.0,
    )


def flag(measures: Sequence[Measures] | NDArray[np.float64]) -> list[str]:
    """Return the flags of each photograph, keys of FLAGS joined by ";", empty for none.

    ``measures`` are rows of Measures. Focus and size are judged against the set: its median sharpness, and the size
    that most photographs have.
    """
    if not len(measures):
        return []
    every = Measures(*np.asarray(measures, dtype=np.float64).T)
    sizes, counts = np.unique(np.stack([every.width, every.height]), axis=1, return_counts=True)
    has_usual = counts.max() > _USUAL_SHARE * len(measures)
    usual_width, usual_height = sizes[:, counts.argmax()]
    raised = {
        "cut_by_frame": every.cut == 1,
        "no_nucleus": every.nuclei == 0,
        "several_nuclei": every.nuclei > 1,
        "out_of_focus": every.sharpness < _SOFT * np.median(every.sharpness),
        "too_dark": every.background < _DARK,
        "too_bright": every.bright > _BRIGHT_SHARE,
        "black_corners": every.black > _BLACK_SHARE,
        "unusual_size": has_usual & ((every.width != usual_width) | (every.height != usual_height)),
        "greyscale": every.spread < _COLOUR,
    }
    return [
        ";".join(name for name, holds in zip(raised, row, strict=True) if holds)
        for row in zip(*raised.values(), strict=True)
    ]


def count_flags(flags: Sequence[str]) -> dict[str, int]:
    """Return how many photographs carry each key of FLAGS."""
    counts = Counter(name for one in flags for name in one.split(";"))
    return {name: counts[name] for name in FLAGS}


def _is_cut(nucleus: NDArray[np.int32], *, corners: NDArray[np.bool_]) -> bool:
    """Tell whether the nucleus, widened by the least rim of cytoplasm, meets the frame or a black corner."""
    height, width = corners.shape
    left, top, box_width, box_height, area = nucleus.tolist()
    rim = round(_RIM * area**0.5)
    if left < rim or top < rim or left + box_width > width - rim or top + box_height > height - rim:
        return True
    return bool(corners[top - rim : top + box_height + rim, left - rim : left + box_width + rim].any())


def _count_nuclei(bodies: NDArray[np.int32]) -> int:
    """Return 0, or 1 and one more for each large body that lies apart from the largest."""
    if not len(bodies):
        return 0
    left, top, width, height, area = bodies[0].tolist()
    others = bodies[1:][bodies[1:, 4] >= _SECOND * area]
    across = np.maximum(np.maximum(others[:, 0] - (left + width), left - (others[:, 0] + others[:, 2])), 0)
    down = np.maximum(np.maximum(others[:, 1] - (top + height), top - (others[:, 1] + others[:, 3])), 0)
    return 1 + int((np.hypot(across, down) > _APART * area**0.5).sum())


def _sharpness(photograph: Image, body: NDArray[np.int32]) -> float:
    """Return the steepest slope round the body over the contrast there, that is one over the width of its edges.

    On BCCD this puts the photographs out of focus first; the variance of the Laplacian (Pech-Pacheco 2000) rather
    puts lymphocytes first, whose nuclei hold less detail.
    """
    left, top, width, height = body[:4].tolist()
    margin = max(width, height) // 4
    part = photograph[max(top - margin, 0) : top + height + margin, max(left - margin, 0) : left + width + margin, 1]
    smooth = cv2.GaussianBlur(part.astype(np.float32), (0, 0), 1.0)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 8
    low, high = np.percentile(smooth, [2, 98])
    return float(np.percentile(slope, 99) / max(high - low, 1.0))
