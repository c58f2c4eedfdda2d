"""The boxes of white cells that people drew."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wbc.tools.parallel import map_parallel
from wbc.tools.voc import read_boxes

CELL = "WBC"  # the name of a white cell's box


BOX = ["boxes", "box_left", "box_top", "box_right", "box_bottom"]


_NO_BOX = (0, *4 * [np.nan])


def read_annotations(records: pd.DataFrame, *, raw: Path) -> tuple[NDArray[np.float64], dict[Any, str]]:
    """Return the columns BOX of each record, and what is wrong with the annotations that do not parse."""
    annotated = records.loc[records["annotation"] != "", "annotation"]
    look = partial(_read_cells, raw=raw)
    boxes = np.tile(_NO_BOX, (len(records), 1))
    broken = {}
    read = map_parallel(look, annotated.tolist(), description="annotations", unit="file")
    for index, (box, error) in zip(annotated.index, read, strict=True):
        boxes[index] = box
        if error:
            broken[index] = error
    return boxes, broken


def _read_cells(annotation: str, *, raw: Path) -> tuple[tuple[float, ...], str]:
    """Return the columns BOX of one annotation, and what is wrong with it."""
    try:
        cells = [box for box in read_boxes(raw / annotation) if box.name == CELL]
    except ValueError as error:
        return _NO_BOX, str(error)
    if not cells:
        return _NO_BOX, ""
    return (len(cells), cells[0].left, cells[0].top, cells[0].right, cells[0].bottom), ""
