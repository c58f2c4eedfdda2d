import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from wbc.photographs.decoding import decode, describe_fault, find_depth, find_peak, read_photograph

RED, GREEN = [0, 0, 200], [0, 100, 0]  # blue, green, red, as OpenCV writes
IMAGE = np.full((4, 6, 3), RED, np.uint8)
IMAGE[:, 3:] = GREEN


def encode(image: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".jpg"])
def test_every_format_gives_the_same_colours(suffix: str) -> None:
    image = decode(encode(cv2.resize(IMAGE, (96, 64), interpolation=cv2.INTER_NEAREST), suffix))
    assert image.shape == (64, 96, 3)
    assert image.dtype == np.uint8
    assert image[30, 10].tolist() == pytest.approx([200, 0, 0], abs=3)
    assert image[30, 90].tolist() == pytest.approx([0, 100, 0], abs=3)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_grey_becomes_three_equal_channels(suffix: str) -> None:
    assert decode(encode(np.full((3, 5), 77, np.uint8), suffix)).tolist() == np.full((3, 5, 3), 77).tolist()


@pytest.mark.parametrize(
    ("value", "white"),
    [(255, 255), (200, 255), (1023, 1023), (4095, 4095), (2048, 4095), (16383, 16383), (65535, 65535)],
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled_from_the_depth_of_the_camera(value: int, white: int, suffix: str) -> None:
    image = np.full((3, 5, 3), [0, value // 2, value], np.uint16)
    expected = [round(255 * channel / white) for channel in (value, value // 2, 0)]
    assert decode(encode(image, suffix))[1, 1].tolist() == expected
    grey = decode(encode(np.full((3, 5), value, np.uint16), suffix))
    assert grey[1, 1].tolist() == [round(255 * value / white)] * 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_transparent_is_white(dtype: type) -> None:
    full = np.iinfo(dtype).max
    image = np.zeros((2, 3, 4), dtype)
    image[:, 1] = [0, 0, full, full]  # opaque red
    image[:, 2] = [0, 0, 0, full // 2]  # black glass
    decoded = decode(encode(image, ".png"))
    assert decoded[0, 0].tolist() == [255, 255, 255]
    assert decoded[0, 1].tolist() == [255, 0, 0]
    assert decoded[0, 2].tolist() == pytest.approx([128] * 3, abs=1)


@pytest.mark.parametrize(
    "encoded", [b"", b"no image", encode(IMAGE, ".png")[:40], encode(np.ones((4, 4), np.float32), ".tif")]
)
def test_what_is_no_image_of_eight_or_sixteen_bits(encoded: bytes) -> None:
    assert decode(encoded) is None


def test_a_header_that_announces_too_many_pixels() -> None:
    encoded = bytearray(encode(IMAGE, ".bmp"))
    encoded[18:26] = (2**20).to_bytes(4, "little") * 2
    assert decode(bytes(encoded)) is None


def write_grey(path: Path, value: int, *, dtype: type = np.uint16) -> Path:
    path.write_bytes(encode(np.full((3, 5), value, dtype), path.suffix))
    return path


def test_one_depth_holds_for_all_files_of_a_set(tmp_path: Path) -> None:
    paths = [
        write_grey(tmp_path / "bright.png", 1000),
        write_grey(tmp_path / "dim.tif", 200),
        write_grey(tmp_path / "eight.png", 255, dtype=np.uint8),
        write_grey(tmp_path / "eight.tif", 255, dtype=np.uint8),
        write_grey(tmp_path / "eight.bmp", 255, dtype=np.uint8),
        write_grey(tmp_path / "eight.jpg", 255, dtype=np.uint8),
    ]
    (tmp_path / "cut.png").write_bytes(paths[0].read_bytes()[:60])
    peaks = [find_peak(path) for path in [*paths, tmp_path / "cut.png"]]
    assert peaks == [1000, 200, 0, 0, 0, 0, 0]
    assert find_depth(peaks) == 10
    levels = [read_photograph(path, depth=10)[0, 0].tolist() for path in paths[:3]]
    assert levels == [[249] * 3, [50] * 3, [255] * 3]  # 1000 and 200 of 1023
    assert find_depth(peaks[2:]) is None


def test_the_opacity_is_no_peak(tmp_path: Path) -> None:
    (tmp_path / "glass.png").write_bytes(encode(np.full((3, 5, 4), [90, 80, 70, 65535], np.uint16), ".png"))
    assert find_peak(tmp_path / "glass.png") == 90
    assert decode((tmp_path / "glass.png").read_bytes())[0, 0].tolist() == [70, 80, 90]


def with_orientation(png: bytes, orientation: int) -> bytes:
    """Return a PNG with an EXIF chunk behind its header."""
    chunk = b"eXIfMM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHHI", 274, 3, 1, orientation, 0, 0)
    return png[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [[1, 2, 3], [4, 5, 6]]),
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[4, 5, 6], [1, 2, 3]]),
        (5, [[1, 4], [2, 5], [3, 6]]),
        (6, [[4, 1], [5, 2], [6, 3]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
        (8, [[3, 6], [2, 5], [1, 4]]),
        (9, [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_a_png_is_turned_as_its_exif_data_say(orientation: int, expected: list[list[int]], channels: int) -> None:
    image = np.repeat(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[..., None], channels, axis=2)
    image[..., 3:] = 255
    decoded = decode(with_orientation(encode(image, ".png"), orientation))
    assert decoded[..., 0].tolist() == expected
    assert decoded[..., 2].tolist() == expected


def write_pages(path: Path, *pages: np.ndarray) -> Path:
    cv2.imwritemulti(str(path), list(pages))
    return path


def test_three_grey_pages_are_channels_and_of_other_pages_the_first_is_taken(tmp_path: Path) -> None:
    grey = [np.full((4, 6), value, np.uint8) for value in (200, 100, 50)]
    assert read_photograph(write_pages(tmp_path / "channels.tif", *grey))[0, 0].tolist() == [200, 100, 50]
    deep = [page.astype(np.uint16) * 257 for page in grey]
    assert read_photograph(write_pages(tmp_path / "deep.tif", *deep))[0, 0].tolist() == [200, 100, 50]
    colour = [np.full((4, 6, 3), [0, 0, value], np.uint8) for value in (200, 100, 50)]
    assert read_photograph(write_pages(tmp_path / "stack.tif", *colour))[0, 0].tolist() == [200, 0, 0]
    small = np.full((2, 3), 9, np.uint8)
    assert read_photograph(write_pages(tmp_path / "thumbnail.tif", grey[0], small))[0, 0].tolist() == [200] * 3
    assert read_photograph(write_pages(tmp_path / "levels.tif", *grey, grey[0])) is None
    assert describe_fault(tmp_path / "levels.tif").startswith("it has 4 grey pages, and none of them is the photograph")


def test_what_cannot_be_had_is_told_in_words(tmp_path: Path) -> None:
    tif = encode(IMAGE, ".tif")
    photometric = tif.index(struct.pack("<HHIH", 262, 3, 1, 2))
    faults = {
        b"": "the file is empty",
        tif[: photometric + 8] + b"\x08" + tif[photometric + 9 :]: "its colours are CIELAB: save it as RGB",
        encode(np.ones((4, 4), np.float32), ".tif"): "it has 32 bits a channel: save it with 8 or 16",
        encode(IMAGE, ".png")[:40]: "it is damaged, or no image of 8 or 16 bits a channel",
        tif[:100]: "it is damaged, or no image of 8 or 16 bits a channel",
    }
    for encoded, fault in faults.items():
        (tmp_path / "x").write_bytes(encoded)
        assert (read_photograph(tmp_path / "x"), find_peak(tmp_path / "x")) == (None, 0)
        assert describe_fault(tmp_path / "x") == fault
