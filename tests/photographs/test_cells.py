from pathlib import Path

import cv2
import numpy as np
import pytest

from wbc.clean.examine import examine
from wbc.clean.params import CleanParams
from wbc.data.arrays import Image
from wbc.photographs.cells import background, crop, find_nucleus, greyscale, resize, white_balance

PLASMA, RED_CELL, NUCLEUS = (230, 225, 215), (215, 150, 145), (90, 50, 150)


def smear(*nuclei: tuple[int, int, int], width: int = 320, height: int = 240) -> Image:
    """Draw red cells and nuclei, each (x, y, radius), on plasma; RGB."""
    image = np.full((height, width, 3), PLASMA, np.uint8)
    for x in range(20, width, 70):
        cv2.circle(image, (x, 40), 25, RED_CELL, -1)
    for x, y, radius in nuclei:
        cv2.circle(image, (x, y), radius, NUCLEUS, -1)
    return image


def parameters(**changes: object) -> CleanParams:
    defaults = {"exclude": [], "thin": {}, "crop": "cell", "window": 100, "size": [50, 50], "greyscale": False}
    defaults |= {"twins": False, "contradictions": "keep"}
    return CleanParams.model_validate(defaults | changes)


@pytest.mark.parametrize(("x", "y"), [(160, 120), (60, 180), (300, 200)])
def test_the_nucleus_is_found_where_it_was_drawn(x: int, y: int) -> None:
    nucleus = find_nucleus(smear((x, y, 18)))
    assert nucleus is not None
    assert (nucleus.x, nucleus.y) == pytest.approx((x, y), abs=2)
    assert nucleus.area == pytest.approx(np.pi * 18**2, rel=0.15)


def test_the_largest_of_two_and_the_lobes_of_one() -> None:
    largest = find_nucleus(smear((60, 120, 10), (240, 150, 20)))
    assert (largest.x, largest.y) == pytest.approx((240, 150), abs=2)
    lobed = find_nucleus(smear((150, 120, 10), (178, 120, 10)))
    assert (lobed.x, lobed.y) == pytest.approx((164, 120), abs=2)


def test_a_nucleus_cut_by_the_frame() -> None:
    nucleus = find_nucleus(smear((0, 239, 30)))
    assert nucleus.x == pytest.approx(15, abs=2)
    assert nucleus.y == pytest.approx(224, abs=2)


def test_the_colour_of_the_light_does_not_matter() -> None:
    warm = (smear((160, 120, 18)) * np.array([1.0, 0.85, 0.6])).astype(np.uint8)
    assert (find_nucleus(warm).x, find_nucleus(warm).y) == pytest.approx((160, 120), abs=2)


@pytest.mark.parametrize("value", [0, 128, 255, (120, 60, 200)], ids=str)
def test_an_even_picture_has_no_nucleus(value: object) -> None:
    assert find_nucleus(np.full((120, 160, 3), value, np.uint8)) is None


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 20), (240, 320)])
def test_the_background_is_the_95th_percentile(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(256, size=(*shape, 3), dtype=np.uint8)
    assert background(image).tolist() == np.percentile(image.reshape(-1, 3), 95, axis=0).tolist()


def test_white_balance_makes_the_background_white() -> None:
    balanced = white_balance(smear((160, 120, 18)))
    assert balanced.dtype == np.float32
    assert balanced[230, 5].tolist() == [1, 1, 1]
    assert balanced[120, 160] == pytest.approx(np.divide(NUCLEUS, PLASMA), abs=1e-6)


def test_a_crop_inside_is_a_plain_cut() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert np.array_equal(crop(image, x=30, y=20, window=10), image[15:25, 25:35])


@pytest.mark.parametrize(("x", "y"), [(1, 2), (59, 39), (30, 0), (0, 39)])
def test_beyond_the_frame_lies_empty_slide(x: int, y: int) -> None:
    image = np.random.default_rng(0).integers(0, 200, (40, 60, 3), dtype=np.uint8)
    image[::2] = PLASMA
    padded = cv2.copyMakeBorder(image, 10, 10, 10, 10, cv2.BORDER_CONSTANT, value=PLASMA)
    assert np.array_equal(crop(image, x=x, y=y, window=20), padded[y : y + 20, x : x + 20])


def test_a_window_larger_than_the_photograph() -> None:
    image = np.full((10, 20, 3), PLASMA, np.uint8)
    image[5, 10] = 0
    window = crop(image, x=10, y=5, window=50)
    assert window.shape == (50, 50, 3)
    assert np.argwhere(window[:, :, 0] != PLASMA[0]).tolist() == [[25, 25]]


def test_resizing_averages_where_it_shrinks() -> None:
    board = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((1, 1)))[:, :, None].repeat(3, 2).astype(np.uint8) * 200
    assert np.unique(resize(board, height=4, width=4)).tolist() == [100]
    assert resize(board, height=12, width=16).shape == (12, 16, 3)


def test_greyscale_is_the_luminance_in_three_channels() -> None:
    grey = greyscale(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8))
    assert grey.tolist() == [[[76] * 3, [150] * 3, [29] * 3]]


def photograph(folder: Path, image: Image) -> Path:
    """Save without loss, although under the usual name: OpenCV looks at the content."""
    path = folder / "BloodImage_00001.jpg"
    path.write_bytes(cv2.imencode(".png", image[:, :, ::-1])[1].tobytes())
    return path


def test_a_cell_is_cut_out_in_its_middle(tmp_path: Path) -> None:
    examined = examine(photograph(tmp_path, smear((200, 130, 18))), params=parameters())
    assert (examined.width, examined.height) == (320, 240)
    assert (examined.nucleus.x, examined.nucleus.y) == pytest.approx((200, 130), abs=2)
    assert examined.image.shape == (50, 50, 3)
    assert examined.image[25, 25].tolist() == list(NUCLEUS)
    assert examined.image[45, 25].tolist() == list(PLASMA)


def test_a_cell_at_the_frame_stays_where_it_was_found(tmp_path: Path) -> None:
    image = examine(photograph(tmp_path, smear((0, 140, 30))), params=parameters()).image
    assert image[25, [10, 25, 45]].tolist() == [list(PLASMA), list(NUCLEUS), list(PLASMA)]
    assert (image[:, :17] == PLASMA).all()


def test_the_whole_photograph(tmp_path: Path) -> None:
    path = photograph(tmp_path, smear((200, 130, 18)))
    examined = examine(path, params=parameters(crop="whole", size=[120, 160]))
    assert examined.image.shape == (120, 160, 3)
    assert examined.image[65, 100].tolist() == list(NUCLEUS)
    assert examined.nucleus.x == pytest.approx(200, abs=2)


def test_the_middle_where_there_is_no_nucleus(tmp_path: Path) -> None:
    image = np.full((240, 320, 3), 200, np.uint8)
    image[119:122, 159:162] = 0
    examined = examine(photograph(tmp_path, image), params=parameters(size=[100, 100]))
    assert examined.nucleus is None
    assert examined.image[50, 50].tolist() == [0, 0, 0]


def test_greyscale_by_parameter(tmp_path: Path) -> None:
    image = examine(photograph(tmp_path, smear((200, 130, 18))), params=parameters(greyscale=True)).image
    assert image.shape == (50, 50, 3)
    assert (image == image[:, :, :1]).all()
    assert image[25, 25, 0] == round(0.299 * 90 + 0.587 * 50 + 0.114 * 150)


@pytest.mark.parametrize("content", [b"", b"no photograph", "half"])
def test_what_does_not_decode_is_none(tmp_path: Path, content: bytes | str) -> None:
    whole = cv2.imencode(".jpg", smear((200, 130, 18)))[1].tobytes()
    path = tmp_path / "x.jpg"
    path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    assert examine(path, params=parameters()) is None
