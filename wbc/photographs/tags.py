"""Reads the tags of TIFF files, of which EXIF data are a kind."""

import re
import struct

WIDTH, HEIGHT, BITS, PHOTOMETRIC, ORIENTATION, SAMPLES = 256, 257, 258, 262, 274, 277
_SIZES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # types of whole numbers
_MOST_PAGES = 1000
_EXIF = re.compile(rb"(?:eXIf|EXIF.{4}(?:Exif\0\0)?)(?=II\*\0|MM\0\*)", re.DOTALL)  # the chunks of PNG and WebP

Tags = dict[int, int]  # the first value of each tag that holds whole numbers


def is_tiff(encoded: bytes) -> bool:
    """Tell whether a file is a TIFF, BigTIFF among them."""
    return encoded[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_pages(encoded: bytes) -> list[Tags]:
    """Return the tags of each page of a TIFF, as far as it is whole; none for another file."""
    if not is_tiff(encoded):
        return []
    order = "<" if encoded.startswith(b"II") else ">"
    big = encoded[2:4] in (b"+\0", b"\0+")
    pages: list[Tags] = []
    seen: set[int] = set()
    try:
        (place,) = struct.unpack_from(order + ("Q" if big else "I"), encoded, 8 if big else 4)
        while place and place not in seen and len(pages) < _MOST_PAGES:
            seen.add(place)
            tags, place = _read_page(encoded, place, order=order, big=big)
            pages.append(tags)
    except struct.error:  # cut short
        pass
    return pages


def _read_page(encoded: bytes, place: int, *, order: str, big: bool) -> tuple[Tags, int]:
    """Return the tags of the page at ``place``, and where the next one is, 0 for nowhere."""
    counted, offset, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    (count,) = struct.unpack_from(order + counted, encoded, place)
    first = place + struct.calcsize(order + counted)
    tags = {}
    for at in range(first, min(first + count * entry, len(encoded)), entry):
        tag, kind, values = struct.unpack_from(f"{order}HH{offset}", encoded, at)
        if kind in _SIZES:
            field = at + entry - struct.calcsize(offset)
            if values * struct.calcsize(_SIZES[kind]) > struct.calcsize(offset):
                (field,) = struct.unpack_from(order + offset, encoded, field)
            (tags[tag],) = struct.unpack_from(order + _SIZES[kind], encoded, field)
    return tags, struct.unpack_from(order + offset, encoded, first + count * entry)[0]


def read_orientation(encoded: bytes) -> int:
    """Return how the EXIF data of a PNG or WebP say that it is to be turned, 1 to 8; 1 is as it is."""
    match = _EXIF.search(encoded)
    pages = read_pages(encoded[match.end() :]) if match else []
    orientation = pages[0].get(ORIENTATION, 1) if pages else 1
    return orientation if 1 <= orientation <= 8 else 1
