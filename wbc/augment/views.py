"""Random views of an image. Workers import this module, so it stays free of pandas and scikit-learn."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from wbc.augment.params import AugmentParams
from wbc.base.draws import generator
from wbc.data.arrays import Image, image_filler, read_images

# Optical densities of haematoxylin, eosin and a residual in red, green and blue (Ruifrok & Johnston 2001).
_STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]], dtype=np.float32)
_STAINS /= np.linalg.norm(_STAINS, axis=1, keepdims=True)
_UNMIX = np.linalg.inv(_STAINS)


class Shown(NamedTuple):
    """What to show in a row of an array of images: the image at ``position`` of another, as it is without ``keys``."""

    row: int
    position: int
    keys: tuple[str | int, ...]


def draw(rows: Sequence[Shown], *, images: Path, output: Path, params: AugmentParams, seed: int) -> None:
    """Write to ``rows`` of the array in ``output`` what they show of ``images``: with keys, the view that they draw."""
    source = read_images(images)
    with image_filler(output) as write:
        for row, position, keys in rows:
            image = np.asarray(source[position])
            write(row, random_view(image, params=params, draws=generator(seed, "view", *keys)) if keys else image)


def random_view(image: Image, *, params: AugmentParams, draws: np.random.Generator) -> Image:
    """Return an RGB image (height, width, 3) as another photograph might show it: placed, lit and stained anew."""
    placed = _place(image, params=params, draws=draws)
    return _colour(placed, params=params, draws=draws)


def _place(image: Image, *, params: AugmentParams, draws: np.random.Generator) -> Image:
    """Rotate, shear, scale, flip and shift about the centre, with the image mirrored at its edges."""
    height, width = image.shape[:2]
    angle = np.deg2rad(draws.uniform(-params.rotation, params.rotation))
    shear = draws.uniform(-params.shear, params.shear)
    scale = draws.uniform(1 - params.scale, 1 + params.scale)
    flips = draws.choice([-1.0, 1.0], size=2) if params.flips else np.ones(2)
    shift = draws.uniform(-params.shift, params.shift, size=2) * (width, height)

    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * rotation @ np.array([[1.0, np.tan(shear)], [0.0, 1.0]]) @ np.diag(flips)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = np.column_stack([linear, centre + shift - linear @ centre])
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _colour(image: Image, *, params: AugmentParams, draws: np.random.Generator) -> Image:
    """Change the strength of the stains, the gain of each channel and the brightness."""
    density = -np.log((image.astype(np.float32) + 1) / 256)
    stains = np.append(draws.uniform(1 - params.stain, 1 + params.stain, size=2), 1.0).astype(np.float32)
    restained = density.reshape(-1, 3) @ (_UNMIX @ (stains[:, None] * _STAINS))
    pixels = 256 * np.exp(-restained.reshape(image.shape)) - 1
    gain = draws.uniform(1 - params.colour, 1 + params.colour, size=3).astype(np.float32)
    brightness = 255 * draws.uniform(-params.brightness, params.brightness)
    return np.clip(np.rint(pixels * gain + brightness), 0, 255).astype(np.uint8)
