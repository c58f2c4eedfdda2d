"""Decodes photographs of any usual format into 8-bit RGB."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wbc.data.arrays import Image
from wbc.photographs.tags import BITS, HEIGHT, PHOTOMETRIC, SAMPLES, WIDTH, Tags, is_tiff, read_orientation, read_pages

_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG"
_EIGHT_BITS = (_JPEG, b"BM", b"GIF8", b"RIFF")  # how files begin whose formats know no more
_DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras deliver in 16-bit files
_CIELAB = (8, 9, 10)  # values of the tag PHOTOMETRIC
_CHANNELS = ((), (1,), (3,), (4,))  # grey, colour, colour with opacity
_HEADER = 32  # bytes of a file that tell of how many bits a PNG is

Decoded = NDArray[np.uint8] | NDArray[np.uint16]  # grey (height, width), or channels last in OpenCV's order


def read_photograph(path: Path, *, depth: int | None = None) -> Image | None:
    """Return the image file at ``path`` as `decode` does."""
    return decode(path.read_bytes(), depth=depth)


def decode(encoded: bytes, *, depth: int | None = None) -> Image | None:
    """Return an image file as uint8 RGB (height, width, 3), or None where `find_fault` says why it cannot be had.

    Grey becomes three equal channels; what is transparent becomes white, as an empty slide is; it is turned as its EXIF
    data say. 16 bits are scaled from ``depth`` bits, see `find_depth`; without, from the smallest of 8, 10, 12, 14 and
    16 bits that holds every value of this one. Three grey pages are channels; else the first page of several is taken.
    """
    decoded = None if find_fault(encoded) else _decode(encoded)
    return None if decoded is None else _to_rgb(decoded, depth=depth or _smallest_depth(_peak(decoded)))


def find_fault(encoded: bytes) -> str:
    """Return in words why an image file cannot be had as `decode` gives it, "" if that does not show beforehand."""
    pages = read_pages(encoded)
    if not encoded:
        return "the file is empty"
    if pages and pages[0].get(PHOTOMETRIC) in _CIELAB:
        return "its colours are CIELAB: save it as RGB"
    if pages and _bits(pages[0]) > 16:
        return f"it has {_bits(pages[0])} bits a channel: save it with 8 or 16"
    if len(pages) not in (0, 1, 3) and _are_grey_of_one_size(pages):
        return f"it has {len(pages)} grey pages, and none of them is the photograph: save it as RGB"
    return ""


def describe_fault(path: Path) -> str:
    """Return in words why the image file at ``path`` does not decode."""
    return find_fault(path.read_bytes()) or "it is damaged, or no image of 8 or 16 bits a channel"


def find_peak(path: Path) -> int:
    """Return the largest value in the colours of a 16-bit file, 0 for a file of 8 bits or one that does not decode."""
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if header.startswith(_EIGHT_BITS) or (header.startswith(_PNG) and header[24:25] != b"\x10"):
        return 0
    encoded = path.read_bytes()
    if is_tiff(encoded) and all(_bits(tags) <= 8 for tags in read_pages(encoded)):
        return 0
    decoded = None if find_fault(encoded) else _decode(encoded)
    return 0 if decoded is None or decoded.dtype == np.uint8 else _peak(decoded)


def find_depth(peaks: Iterable[int]) -> int | None:
    """Return the bits of the camera from the `find_peak` of all files of a set, None where none has 16 bits."""
    largest = max(peaks, default=0)
    return _smallest_depth(largest) if largest else None


def _smallest_depth(peak: int) -> int:
    return next(depth for depth in _DEPTHS if peak < 2**depth)


def _peak(decoded: Decoded) -> int:
    colours = decoded[..., :3] if decoded.ndim == 3 else decoded
    return int(colours.max())


def _decode(encoded: bytes) -> Decoded | None:
    """Return the pixels as they are stored, but turned, or None where they do not decode to 8 or 16 bits."""
    buffer = np.frombuffer(encoded, dtype=np.uint8)
    try:
        if encoded.startswith(_JPEG):
            decoded = cv2.imdecode(buffer, cv2.IMREAD_COLOR)  # OpenCV turns JPEG, and TIFF, by itself
        elif len(channels := read_pages(encoded)) == 3 and _are_grey_of_one_size(channels):
            _, pages = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED)
            decoded = np.dstack(pages[::-1]) if len(pages) == 3 else None
        else:
            decoded = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
            if decoded is not None:
                decoded = _turn(decoded, orientation=read_orientation(encoded))
    except cv2.error:  # such as a header that announces billions of pixels
        return None
    if decoded is None or decoded.dtype not in (np.uint8, np.uint16) or decoded.shape[2:] not in _CHANNELS:
        return None
    return decoded


def _are_grey_of_one_size(pages: list[Tags]) -> bool:
    """Tell whether the pages of a TIFF may be the channels of one photograph, or the levels of a stack."""
    sizes = {(tags.get(WIDTH), tags.get(HEIGHT), _bits(tags)) for tags in pages}
    return len(sizes) == 1 and all(map(_is_grey, pages))


def _is_grey(tags: Tags) -> bool:
    return tags.get(SAMPLES, 1) == 1 and tags.get(PHOTOMETRIC) in (0, 1) and _bits(tags) >= 8


def _bits(tags: Tags) -> int:
    return tags.get(BITS, 1)


def _turn(image: NDArray[Any], *, orientation: int) -> NDArray[Any]:
    """Return the image turned and mirrored as the EXIF tag says."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image if orientation == 1 else np.array(image)  # OpenCV wants its rows side by side


def _to_rgb(decoded: Decoded, *, depth: int) -> Image:
    eight = _to_eight_bits(decoded[..., :3] if decoded.ndim == 3 else decoded, depth=depth)
    if eight.ndim == 2 or eight.shape[2] == 1:
        return cv2.cvtColor(eight, cv2.COLOR_GRAY2RGB)
    if decoded.shape[2] == 3:
        return cv2.cvtColor(eight, cv2.COLOR_BGR2RGB)
    opacity = decoded[..., 3:] / np.float32(np.iinfo(decoded.dtype).max)
    return np.rint(opacity * eight[..., ::-1] + (1 - opacity) * 255).astype(np.uint8)


def _to_eight_bits(image: Decoded, *, depth: int) -> Image:
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image, dtype=np.uint8)
    return np.minimum(np.rint(image * (255 / (2**depth - 1))), 255).astype(np.uint8)
