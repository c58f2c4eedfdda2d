"""Decodes photographs of any usual format into 8-bit RGB."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wbc.arrays import Image

_JPEG = b"\xff\xd8"
_DEPTHS = (12, 14, 16)  # bits that cameras deliver in 16-bit files


def read_photograph(path: Path) -> Image | None:
    """Return the image file at ``path`` as `decode` does."""
    return decode(path.read_bytes())


def decode(encoded: bytes) -> Image | None:
    """Return an image file as uint8 RGB (height, width, 3), or None where it does not decode to 8 or 16 bits.

    Grey becomes three equal channels; what is transparent becomes white, as an empty slide is; 16 bits are scaled from
    the smallest of 12, 14 and 16 bits that holds every value. The first page of several is taken.
    """
    if not encoded:
        return None
    try:
        return _decode_jpeg(encoded) if encoded.startswith(_JPEG) else _decode_other(encoded)
    except cv2.error:  # such as a header that announces billions of pixels
        return None


def _decode_jpeg(encoded: bytes) -> Image | None:
    decoded = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_COLOR)  # turned as its EXIF data say
    return None if decoded is None else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def _decode_other(encoded: bytes) -> Image | None:
    decoded = cv2.imdecode(np.frombuffer(encoded, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype not in (np.uint8, np.uint16):
        return None
    if decoded.ndim == 2:
        return cv2.cvtColor(_to_eight_bits(decoded), cv2.COLOR_GRAY2RGB)
    if decoded.shape[2] == 4:
        opacity = decoded[..., 3:] / np.float32(np.iinfo(decoded.dtype).max)
        colours = _to_eight_bits(decoded[..., :3])
        return np.rint(opacity * colours[..., ::-1] + (1 - opacity) * 255).astype(np.uint8)
    return cv2.cvtColor(_to_eight_bits(decoded), cv2.COLOR_BGR2RGB) if decoded.shape[2] == 3 else None


def _to_eight_bits(image: NDArray[np.uint8] | NDArray[np.uint16]) -> Image:
    if image.dtype == np.uint8:
        return np.asarray(image, dtype=np.uint8)
    depth = next(depth for depth in _DEPTHS if int(image.max()) < 2**depth)
    return np.rint(image * (255 / (2**depth - 1))).astype(np.uint8)
