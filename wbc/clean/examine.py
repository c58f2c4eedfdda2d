"""Turns one photograph into the image that is stored of it, and says what was seen on the way."""

from dataclasses import dataclass
from pathlib import Path

from wbc.clean.params import CleanParams
from wbc.data.arrays import Image
from wbc.photographs.cells import Nucleus, crop, find_bodies, greyscale, nucleus_of, resize
from wbc.photographs.decoding import read_photograph
from wbc.photographs.quality import Measures, measure_quality


@dataclass(frozen=True)
class Examined:
    """A decoded photograph: its stored image, its size in pixels, its nucleus and the measures of its quality."""

    image: Image
    width: int
    height: int
    nucleus: Nucleus | None
    measures: Measures


def examine(path: Path, *, params: CleanParams, depth: int | None = None) -> Examined | None:
    """Return the cell or the whole photograph at ``path`` as ``params`` asks for it, or None if it does not decode.

    ``depth`` is that of its set (wbc.photographs.decoding.find_depth). Without a nucleus the window lies round the
    centre of the photograph.
    """
    photograph = read_photograph(path, depth=depth)
    if photograph is None:
        return None
    height, width = photograph.shape[:2]
    bodies = find_bodies(photograph)
    nucleus = nucleus_of(bodies)
    if params.crop == "cell":
        x, y = (nucleus.x, nucleus.y) if nucleus else (width / 2, height / 2)
        image = crop(photograph, x=x, y=y, window=params.window)
    else:
        image = photograph
    image = resize(image, height=params.size[0], width=params.size[1])
    return Examined(
        greyscale(image) if params.greyscale else image, width, height, nucleus, measure_quality(photograph, bodies)
    )
