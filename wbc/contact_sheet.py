"""Draws a sheet of small images, one row for each class."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from wbc.arrays import Image
from wbc.files import written_aside

_GAP = 4  # px between images
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.5
_INK = (40, 40, 40)


def contact_sheet(path: Path, *, rows: Mapping[str, Sequence[Image]], side: int = 96) -> None:
    """Write a PNG with one row for each class of ``rows``: its name, then its uint8 RGB images (height, width, 3).

    Each image is scaled to fit a square of ``side`` pixels. The bytes depend on nothing but the arguments.
    Raises ValueError when there is no class.
    """
    if not rows:
        raise ValueError(f"{path}: there is no class to draw")
    text_widths, text_heights = zip(*(cv2.getTextSize(name, _FONT, _FONT_SCALE, 1)[0] for name in rows), strict=True)
    margin = max(text_widths) + 4 * _GAP
    columns = max(len(images) for images in rows.values())
    step = side + _GAP
    sheet = np.full((len(rows) * step + _GAP, margin + columns * step, 3), 255, dtype=np.uint8)
    for row, (name, images) in enumerate(rows.items()):
        top = _GAP + row * step
        baseline = top + (side + max(text_heights)) // 2
        cv2.putText(sheet, name, (2 * _GAP, baseline), _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)
        for column, image in enumerate(images):
            left = margin + column * step
            sheet[top : top + side, left : left + side] = _fitted(image, side=side)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    with written_aside(path) as aside:
        aside.write_bytes(encoded.tobytes())


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


def examples_of_each_class(
    images: Image, *, positions: Sequence[int], labels: Sequence[str], count: int = 8
) -> dict[str, list[Image]]:
    """Return for each class, sorted, up to ``count`` of its images, evenly spread.

    ``images`` (images, height, width, 3) may be memory-mapped; ``labels`` are those of the images at ``positions``.
    """
    rows: dict[str, list[int]] = {name: [] for name in sorted(set(labels))}
    for position, label in zip(positions, labels, strict=True):
        rows[label].append(position)
    return {name: [images[row] for row in members[:: -(-len(members) // count)]] for name, members in rows.items()}
