"""Drawn cells to measure with: as many as wanted, of any size, without a download."""

from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wbc.data.arrays import Image
from wbc.sources.drawing import draw_smear
from wbc.tools.parallel import map_parallel

CLASSES = ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")
WINDOW = 240  # px of the drawn photograph round the cell, as in params.yaml


class Cells(NamedTuple):
    """Images, uint8 (images, side, side, 3), and the index in CLASSES of each (images,)."""

    images: Image
    labels: NDArray[np.int_]


def draw_cells(labels: NDArray[np.int_], *, side: int, seed: int) -> Cells:
    """Draw one cell of each of ``labels``; ``side`` is that of the image in px."""
    tasks = list(enumerate(labels.tolist()))
    return Cells(np.stack(list(map_parallel(partial(_draw, side=side, seed=seed), tasks, description="cells"))), labels)


def _draw(task: tuple[int, int], *, side: int, seed: int) -> Image:
    number, label = task
    image, boxes = draw_smear(seed=seed, number=number, classes=[CLASSES[label]])
    cell = next(box for box in boxes if box.name == "WBC")
    centre = ((cell.left + cell.right) / 2, (cell.top + cell.bottom) / 2)
    window = cv2.getRectSubPix(image, (WINDOW, WINDOW), centre)
    return cv2.resize(window, (side, side), interpolation=cv2.INTER_AREA)
