from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from wbc.clean.audit_figures import draw_flags, draw_pairs

COLUMNS = ["id_a", "id_b", "kind", "inliers"]


def photographs(folder: Path, **greys: int) -> dict[str, Path]:
    """Write a plain photograph of each grey and return their paths."""
    for name, grey in greys.items():
        cv2.imwrite(str(folder / f"{name}.png"), np.full((48, 64, 3), grey, np.uint8))
    return {name: folder / f"{name}.png" for name in greys}


def greys_in(path: Path) -> list[int]:
    """Return the plain greys of the photographs in a sheet, from left to right, line by line."""
    sheet = cv2.imread(str(path))[:, :, 0]
    lines = list(sheet[18 + 69 :: 18 + 138])
    return [int(line[x]) for line in lines for start in range(0, len(line), 376) for x in (start + 92, start + 278)]


def test_a_cell_of_two_classes_comes_first_then_the_weakest_evidence(tmp_path: Path) -> None:
    files = photographs(tmp_path, a=10, b=20, c=30, d=40, e=50, f=60)
    pairs = pd.DataFrame(
        [("a", "b", "same_cell", 9), ("c", "d", "overlap", 7), ("e", "f", "same_cell", 99)], columns=COLUMNS
    )
    labels = {"a": "X", "b": "X", "c": "X", "d": "Y", "e": "X", "f": "Y"}
    draw_pairs(tmp_path / "pairs.jpg", pairs, files=files, labels=labels)
    assert greys_in(tmp_path / "pairs.jpg") == pytest.approx([50, 60, 30, 40, 10, 20], abs=1)


def test_up_to_sixty_pairs_are_shown(tmp_path: Path) -> None:
    files = photographs(tmp_path, a=10, b=20)
    pairs = pd.DataFrame([("a", "b", "overlap", number) for number in range(70)], columns=COLUMNS)
    draw_pairs(tmp_path / "pairs.jpg", pairs, files=files, labels=dict.fromkeys(files, "X"))
    assert greys_in(tmp_path / "pairs.jpg") == pytest.approx([10, 20] * 60, abs=1)


def test_without_pairs_the_sheet_says_so(tmp_path: Path) -> None:
    draw_pairs(tmp_path / "none.jpg", pd.DataFrame(columns=COLUMNS), files={}, labels={})
    sheet = cv2.imread(str(tmp_path / "none.jpg"))
    assert sheet[:18].min() < 100
    assert sheet[24:].min() > 250


def test_thirteen_photographs_of_a_flag_fill_the_row_of_eight(tmp_path: Path) -> None:
    files = photographs(tmp_path, **{f"p{number:02}": 10 + number for number in range(13)})
    draw_flags(tmp_path / "flags.png", dict.fromkeys(files, "too_dark"), files=files)
    sheet = cv2.imread(str(tmp_path / "flags.png"))[:, :, 0]
    assert [int(grey) for grey in sheet[4 + 80, -8 * 164 + 80 :: 164]] == [10, 11, 13, 14, 16, 18, 19, 21]
    assert sheet[4 + 160 : 4 + 160 + 14, -8 * 164 :].min() < 100  # their names


def test_each_flag_is_a_row_of_its_photographs(tmp_path: Path) -> None:
    files = photographs(tmp_path, a=10, b=20)
    draw_flags(tmp_path / "flags.png", {"a": "too_dark;cut_by_frame", "b": ""}, files=files)
    sheet = cv2.imread(str(tmp_path / "flags.png"))[:, :, 0]
    assert (sheet == 10).sum() == 2 * 120 * 160
    assert not (sheet == 20).any()
