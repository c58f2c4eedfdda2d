"""Large image arrays: .npy files that are written image by image and read memory-mapped."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from wbc.base.files import written_aside

Image = NDArray[np.uint8]
_BLOCK = 256  # images read through one mapping


@contextmanager
def image_writer(
    path: Path, *, shape: tuple[int, int, int], onto: Path | None = None
) -> Iterator[Callable[[Image], None]]:
    """Yield a function that appends one uint8 image of ``shape`` to the .npy file at ``path``.

    The file holds (images, height, width, channels) and appears when the block ends well. numpy pads a header so
    that the first axis can grow in place; memory therefore does not grow with the number of images. With ``onto`` it
    begins with the images of that file, which is taken over: only its header changes.
    Raises ValueError for an image of another shape or dtype.
    """
    count = 0 if onto is None else len(read_images(onto))
    with ExitStack() as stack:
        aside = stack.enter_context(written_aside(path))
        if onto:
            onto.replace(aside)
        file = stack.enter_context(aside.open("r+b" if onto else "wb"))

        def write_header() -> None:
            npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)})

        def append(image: Image) -> None:
            nonlocal count
            if image.shape != shape or image.dtype != np.uint8:
                raise ValueError(f"{path}: expected uint8 {shape}, got {image.dtype} {image.shape}")
            file.write(np.ascontiguousarray(image).data)
            count += 1

        write_header()
        file.seek(0, os.SEEK_END)
        yield append
        file.seek(0)
        write_header()


def create_images(path: Path, *, shape: tuple[int, int, int, int]) -> None:
    """Write a .npy file of black uint8 images (images, height, width, channels), for `image_filler` to fill."""
    npy.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape, version=(1, 0))


@contextmanager
def image_filler(path: Path) -> Iterator[Callable[[int, Image], None]]:
    """Yield a function that writes a uint8 image (height, width, channels) to a row of the .npy file at ``path``.

    Several processes may fill rows of their own at once. Written to the file, not to a mapping of it, so that a full
    disk raises OSError.
    """
    start = npy.open_memmap(path, mode="r").offset
    with path.open("r+b") as file:

        def write(row: int, image: Image) -> None:
            file.seek(start + row * image.nbytes)
            file.write(np.ascontiguousarray(image).data)

        yield write


def read_images(path: Path) -> Image:
    """Return the images at ``path`` (images, height, width, channels), uint8, memory-mapped and read-only."""
    return np.load(path, mmap_mode="r")


def iterate_images(path: Path, *, rows: Sequence[int] | NDArray[np.int_] | None = None) -> Iterator[Image]:
    """Yield the images at ``path``, all or those of ``rows`` in this order, without the pages of all adding up."""
    chosen = np.arange(len(read_images(path))) if rows is None else np.asarray(rows, dtype=int)
    for start in range(0, len(chosen), _BLOCK):
        images = read_images(path)  # mapped anew for each block, which frees the pages of the last one
        yield from (images[row] for row in chosen[start : start + _BLOCK])
