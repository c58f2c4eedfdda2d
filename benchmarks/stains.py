"""Ways to make the stain of all images alike, which were tried and are not part of the pipeline."""

from collections.abc import Callable

import cv2
import numpy as np

from wbc.data.arrays import Image
from wbc.photographs.cells import white_balance

# Mean and standard deviation of the L, a and b of BCCD's cells, in the 8-bit scale of OpenCV.
_MEAN, _DEVIATION = np.array([181.0, 139.0, 116.0]), np.array([27.0, 14.0, 19.0])


def balance_white(image: Image) -> Image:
    """Return the RGB image (height, width, 3) with its bright background scaled to white."""
    return np.rint(255 * white_balance(image)).astype(np.uint8)


def normalise_stain(image: Image) -> Image:
    """Return the RGB image (height, width, 3) with one mean and deviation of colour (Reinhard et al. 2001).

    The transfer is made in L*a*b* instead of the lab of that paper.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float64)
    mean, deviation = lab.mean(axis=(0, 1)), lab.std(axis=(0, 1))
    changed = (lab - mean) / np.maximum(deviation, 1) * _DEVIATION + _MEAN
    return cv2.cvtColor(np.clip(np.rint(changed), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)


PREPARATIONS: dict[str, Callable[[Image], Image]] = {"white balance": balance_white, "Reinhard": normalise_stain}
