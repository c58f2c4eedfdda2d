"""The eight positions of an image under flips and quarter turns: cells have no up and no left."""

import numpy as np
from numpy.typing import NDArray

from wbc.data.arrays import Image


def count_orientations(images: Image) -> int:
    """Return how many positions keep the shape of ``images`` (images, height, width, 3): 8 for squares, else 4."""
    return 8 if images.shape[1] == images.shape[2] else 4


def orient(images: Image, *, positions: NDArray[np.integer]) -> Image:
    """Return image i of ``images`` (images, height, width, 3) in position i of ``positions``, 0 being as it is.

    Bit 0 flips left and right, bit 1 up and down, bit 2 exchanges rows and columns, for squares only.
    """
    turned = np.empty_like(images)
    for target, image, position in zip(turned, images, positions, strict=True):
        view = image[:: -1 if position & 2 else 1, :: -1 if position & 1 else 1]
        target[...] = view.transpose(1, 0, 2) if position & 4 else view
    return turned
