"""Finds the white cell of a photograph by its nucleus and cuts it out."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wbc.data.arrays import Image

_BLUR = 2.0  # px, Gaussian sigma
_CLOSING = 15  # px, joins the lobes of one nucleus


@dataclass(frozen=True)
class Nucleus:
    """Centre of the bounding box and area of the largest nucleus, in pixels of the photograph."""

    x: float
    y: float
    area: int


def background(image: Image) -> NDArray[np.float64]:
    """Return the colour (3,) of the empty slide in an RGB image (height, width, 3): its 95th percentile.

    It equals np.percentile's in a fraction of the time, for the levels are only counted.
    """
    place = 0.95 * (image.shape[0] * image.shape[1] - 1)
    colour = []
    for channel in range(3):
        up_to = np.cumsum(cv2.calcHist([image], [channel], None, [256], (0, 256)).ravel().astype(np.int64))
        low, high = np.searchsorted(up_to, (np.floor(place), np.floor(place) + 1), side="right")
        colour.append(low + (high - low) * (place % 1))
    return np.array(colour, dtype=np.float64)


def white_balance(image: Image) -> NDArray[np.float32]:
    """Return the RGB image (height, width, 3) as float32 with its bright background scaled to white, 1.0."""
    levels = np.arange(256)[:, None] / np.maximum(background(image), 1)
    return cv2.LUT(image, np.minimum(levels, 1).astype(np.float32)[None])


def find_nucleus(image: Image) -> Nucleus | None:
    """Return the largest blue-violet body of an RGB photograph (height, width, 3), or None where there is none.

    It is inside the annotated box in 337 of 337 BCCD photographs of one cell and one box (metrics/clean.json).
    """
    return nucleus_of(find_bodies(image))


def find_bodies(image: Image) -> NDArray[np.int32]:
    """Return the blue-violet bodies of an RGB photograph (height, width, 3), the largest first.

    They are rows (bodies, 5) of left, top, width, height and area in pixels.
    White balance, blur, (B - R) + (B - G) clipped at 0, Otsu (1979), closing, connected components.
    """
    red, green, blue = cv2.split(cv2.GaussianBlur(white_balance(image), (0, 0), _BLUR))
    blueness = np.clip((blue - red) + (blue - green), 0, 1)
    _, mask = cv2.threshold((255 * blueness).astype(np.uint8), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_CLOSING, _CLOSING))
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(closed)
    bodies = statistics[1:]
    return bodies[np.argsort(-bodies[:, cv2.CC_STAT_AREA], kind="stable")]


def nucleus_of(bodies: NDArray[np.int32]) -> Nucleus | None:
    """Return the first of the ``bodies`` of `find_bodies` as a nucleus, None of none."""
    if not len(bodies):
        return None
    left, top, width, height, area = bodies[0].tolist()
    return Nucleus(x=float(left + width / 2), y=float(top + height / 2), area=int(area))


def crop(image: Image, *, x: float, y: float, window: int) -> Image:
    """Return the square of ``window`` pixels round the point, empty slide where it reaches beyond the frame.

    Mirroring instead would double the lobes of a nucleus at the frame, and lobes are what tells the classes apart.
    """
    left, top = round(x - window / 2), round(y - window / 2)
    square = np.full((window, window, 3), background(image).round(), dtype=np.uint8)
    inside = image[max(top, 0) : top + window, max(left, 0) : left + window]
    row, column = max(-top, 0), max(-left, 0)
    square[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return square


def resize(image: Image, *, height: int, width: int) -> Image:
    """Return the image at the given size: averaged where it shrinks, bicubic where it grows."""
    shrinks = height * width < image.shape[0] * image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def greyscale(image: Image) -> Image:
    """Return the luminance of an RGB image in all three channels."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
