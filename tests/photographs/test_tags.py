import struct

import cv2
import numpy as np
import pytest

from wbc.photographs.tags import BITS, HEIGHT, SAMPLES, WIDTH, is_tiff, read_orientation, read_pages


def make_tiff(order: str, *, big: bool) -> bytes:
    """Return the tags of a TIFF of two pages without pixels: the second leads back to the first."""
    offset, counted = ("Q", "Q") if big else ("I", "H")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8)

    def page(width: int, following: int) -> bytes:
        value = struct.pack(order + "H", width).ljust(struct.calcsize(offset), b"\0")
        entry = struct.pack(order + "HH" + offset, WIDTH, 3, 1) + value
        return struct.pack(order + counted, 1) + entry + struct.pack(order + offset, following)

    second = len(head) + len(page(1, 0))
    return head + page(640, second) + page(320, len(head))


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_are_read_once_each(order: str, big: bool) -> None:
    encoded = make_tiff(order, big=big)
    assert is_tiff(encoded)
    assert read_pages(encoded) == [{WIDTH: 640}, {WIDTH: 320}]
    assert read_pages(encoded[:-10]) == [{WIDTH: 640}]
    assert read_pages(encoded[:6]) == []


def test_the_tags_of_a_real_file() -> None:
    encoded = cv2.imencode(".tif", np.zeros((4, 6, 3), np.uint16))[1].tobytes()
    (tags,) = read_pages(encoded)
    assert {tag: tags[tag] for tag in (WIDTH, HEIGHT, BITS, SAMPLES)} == {WIDTH: 6, HEIGHT: 4, BITS: 16, SAMPLES: 3}
    for start in (b"\x89PNG", b"II-\0"):
        assert not is_tiff(start + encoded[4:])
        assert read_pages(start + encoded[4:]) == []


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "form", "value"), [(1, "B", 200), (3, "H", 640), (4, "I", 70_000), (16, "Q", 2**40)])
def test_whole_numbers_of_every_size_are_read(order: str, kind: int, form: str, value: int) -> None:
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HHHQ", 43, 8, 0, 16)
    entry = struct.pack(order + "HHQ", WIDTH, kind, 1) + struct.pack(order + form, value).ljust(8, b"\0")
    assert read_pages(head + struct.pack(order + "Q", 1) + entry + struct.pack(order + "Q", 0)) == [{WIDTH: value}]


@pytest.mark.parametrize(
    ("encoded", "orientation"),
    [
        (b"RIFF....WEBPEXIF\x1a\0\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0", 6),
        (b"RIFF....WEBPEXIF\x20\0\0\0Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0", 3),
        (b"....eXIfMM\0*\0\0\0\x08\0", 1),
        (b"", 1),
    ],
)
def test_the_orientation_of_png_and_webp(encoded: bytes, orientation: int) -> None:
    assert read_orientation(encoded) == orientation
