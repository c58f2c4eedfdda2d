import cv2
import numpy as np
import pytest

from wbc.decoding import decode

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


@pytest.mark.parametrize(("value", "white"), [(4095, 4095), (2048, 4095), (16383, 16383), (65535, 65535)])
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
