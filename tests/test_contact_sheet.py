from pathlib import Path

import cv2
import numpy as np
import pytest

from wbc.arrays import Image
from wbc.contact_sheet import contact_sheet

RED, GREEN, WHITE = (200, 0, 0), (0, 200, 0), (255, 255, 255)


def plain(colour: tuple[int, int, int], *, height: int = 40, width: int = 40) -> Image:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def read(path: Path) -> Image:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_one_row_for_each_class_with_its_name_at_the_left(tmp_path: Path) -> None:
    contact_sheet(tmp_path / "sheet.png", rows={"A": [plain(RED), plain(RED)], "B": [plain(GREEN)]}, side=30)
    sheet = read(tmp_path / "sheet.png")
    height, width = sheet.shape[:2]
    margin = width - 2 * 34
    assert height == 2 * 34 + 4
    assert sheet[:34, :margin].min() < 100  # the name
    assert (sheet[4:34, margin : margin + 30] == RED).all()
    assert (sheet[4:34, margin + 34 : margin + 64] == RED).all()
    assert (sheet[38:68, margin : margin + 30] == GREEN).all()
    assert (sheet[38:, margin + 34 :] == WHITE).all()  # a shorter row


def test_longer_names_get_a_wider_margin(tmp_path: Path) -> None:
    for name in ("B", "METAMYELOCYTE"):
        contact_sheet(tmp_path / f"{name}.png", rows={name: []})
    assert read(tmp_path / "METAMYELOCYTE.png").shape[1] > read(tmp_path / "B.png").shape[1] + 80


def test_an_oblong_image_keeps_its_proportions(tmp_path: Path) -> None:
    contact_sheet(tmp_path / "sheet.png", rows={"A": [plain(RED, height=60, width=120)]}, side=40)
    square = read(tmp_path / "sheet.png")[4:44, -44:-4]
    assert (square[10:30] == RED).all()
    assert (square[:10] == WHITE).all()
    assert (square[30:] == WHITE).all()


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    for name in ("one.png", "two.png"):
        contact_sheet(tmp_path / name, rows={"A": [noise]})
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_no_class_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"sheet\.png: there is no class"):
        contact_sheet(tmp_path / "sheet.png", rows={})
