"""Draws a sheet of small images, one row for each class."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from wbc.base.files import written_aside
from wbc.data.arrays import Image

_GAP = 4  # px between images
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.5
_CAPTION = 14  # px below each image, for its name
_CAPTION_SCALE = 0.32
_INK = (40, 40, 40)

Member = TypeVar("Member")
Named = tuple[str, Image]  # what to write below an image, and the image


def contact_sheet(path: Path, *, rows: Mapping[str, Sequence[Named]], side: int = 96) -> None:
    """Write a PNG with one row for each class of ``rows``: its name, then its uint8 RGB images (height, width, 3).

    Each image is scaled to fit a square of ``side`` pixels; below it is its own name, whose end is what fits. The bytes
    depend on nothing but the arguments. Raises ValueError when there is no class.
    """
    if not rows:
        raise ValueError(f"{path}: there is no class to draw")
    text_widths, text_heights = zip(*(cv2.getTextSize(name, _FONT, _FONT_SCALE, 1)[0] for name in rows), strict=True)
    margin = max(text_widths) + 4 * _GAP
    columns = max(len(images) for images in rows.values())
    step, height = side + _GAP, side + _CAPTION + _GAP
    sheet = np.full((len(rows) * height + _GAP, margin + columns * step, 3), 255, dtype=np.uint8)
    for row, (name, images) in enumerate(rows.items()):
        top = _GAP + row * height
        baseline = top + (side + max(text_heights)) // 2
        cv2.putText(sheet, name, (2 * _GAP, baseline), _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)
        for column, (caption, image) in enumerate(images):
            left = margin + column * step
            sheet[top : top + side, left : left + side] = _fitted(image, side=side)
            text, below = _end_that_fits(caption, width=side), (left, top + side + _CAPTION - _GAP)
            cv2.putText(sheet, text, below, _FONT, _CAPTION_SCALE, _INK, 1, cv2.LINE_AA)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    with written_aside(path) as aside:
        aside.write_bytes(encoded.tobytes())


def _end_that_fits(text: str, *, width: int) -> str:
    """Return the text, or as much of its end as fits into ``width`` px behind two dots."""
    ends = [text, *(f"..{text[start:]}" for start in range(1, len(text)))]
    return next((end for end in ends if cv2.getTextSize(end, _FONT, _CAPTION_SCALE, 1)[0][0] <= width), "")


def _fitted(image: Image, *, side: int) -> Image:
    """Return the image scaled to fit the middle of a white square."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(round(scale * width), 1), max(round(scale * height), 1)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    square = np.full((side, side, 3), 255, dtype=np.uint8)
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return square


def spread(members: Sequence[Member], *, count: int = 8) -> list[Member]:
    """Return ``count`` of the members, evenly spread, or all where there are fewer."""
    shown = min(count, len(members))
    return [members[place * len(members) // shown] for place in range(shown)]


def examples_of_each_class(
    images: Image, *, positions: Sequence[int], labels: Sequence[str], names: Sequence[str]
) -> dict[str, list[Named]]:
    """Return for each class, sorted, some of its images with their names, evenly spread.

    ``images`` (images, height, width, 3) may be memory-mapped; ``labels`` and ``names`` are those of the images at
    ``positions``.
    """
    rows: dict[str, list[tuple[str, int]]] = {name: [] for name in sorted(set(labels))}
    for position, label, name in zip(positions, labels, names, strict=True):
        rows[label].append((name, position))
    return {label: [(name, images[place]) for name, place in spread(members)] for label, members in rows.items()}
