from pathlib import Path

import cv2
import numpy as np
import pytest

from wbc.data.arrays import Image
from wbc.tools.contact_sheet import contact_sheet, examples_of_each_class, spread

RED, GREEN, WHITE = (200, 0, 0), (0, 200, 0), (255, 255, 255)


def plain(colour: tuple[int, int, int], *, height: int = 40, width: int = 40) -> Image:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def read(path: Path) -> Image:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_one_row_for_each_class_with_its_name_at_the_left(tmp_path: Path) -> None:
    rows = {"A": [("", plain(RED)), ("", plain(RED))], "B": [("", plain(GREEN))]}
    contact_sheet(tmp_path / "sheet.png", rows=rows, side=30)
    sheet = read(tmp_path / "sheet.png")
    height, width = sheet.shape[:2]
    margin = width - 2 * 34
    assert height == 2 * 48 + 4
    assert sheet[:34, :margin].min() < 100  # the name
    assert (sheet[4:34, margin : margin + 30] == RED).all()
    assert (sheet[4:34, margin + 34 : margin + 64] == RED).all()
    assert (sheet[34:52, margin:] == WHITE).all()
    assert (sheet[52:82, margin : margin + 30] == GREEN).all()
    assert (sheet[52:, margin + 34 :] == WHITE).all()  # a shorter row


def test_each_image_has_its_name_below_it_and_of_a_long_one_the_end(tmp_path: Path) -> None:
    strips = {}
    for name in ("7.png", "a-long-folder/that/goes/on/7.png", "another/folder/that/goes/on/7.png", ""):
        contact_sheet(tmp_path / "sheet.png", rows={"A": [(name, plain(RED)), ("", plain(RED))]}, side=60)
        sheet = read(tmp_path / "sheet.png")
        strips[name] = sheet[64:, -128:-64]
        assert (sheet[64:, -64:] == WHITE).all()  # nothing reaches below the next
    short, long, other, none = strips.values()
    assert (none == WHITE).all()
    assert short.min() < 100
    assert (long < 200).sum() > (short < 200).sum()
    assert (long == other).all()  # both end in /7.png


def test_of_more_than_fit_as_many_as_fit_are_shown_evenly_spread() -> None:
    assert spread(list(range(13))) == [0, 1, 3, 4, 6, 8, 9, 11]
    assert spread(list("abc")) == ["a", "b", "c"]
    assert spread(list(range(16))) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert spread([]) == []


def test_examples_of_each_class_carry_their_names() -> None:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    rows = examples_of_each_class(images, positions=[4, 2, 3], labels=["B", "A", "B"], names=["four", "two", "three"])
    shown = {label: [(name, int(image[0, 0, 0])) for name, image in row] for label, row in rows.items()}
    assert shown == {"A": [("two", 2)], "B": [("four", 4), ("three", 3)]}


def test_longer_names_get_a_wider_margin(tmp_path: Path) -> None:
    for name in ("B", "METAMYELOCYTE"):
        contact_sheet(tmp_path / f"{name}.png", rows={name: []})
    assert read(tmp_path / "METAMYELOCYTE.png").shape[1] > read(tmp_path / "B.png").shape[1] + 80


def test_an_oblong_image_keeps_its_proportions(tmp_path: Path) -> None:
    contact_sheet(tmp_path / "sheet.png", rows={"A": [("", plain(RED, height=60, width=120))]}, side=40)
    square = read(tmp_path / "sheet.png")[4:44, -44:-4]
    assert (square[10:30] == RED).all()
    assert (square[:10] == WHITE).all()
    assert (square[30:] == WHITE).all()


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    for name in ("one.png", "two.png"):
        contact_sheet(tmp_path / name, rows={"A": [("noise", noise)]})
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_no_class_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"sheet\.png: there is no class"):
        contact_sheet(tmp_path / "sheet.png", rows={})
