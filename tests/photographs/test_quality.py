from collections.abc import Callable

import cv2
import numpy as np
import pytest

from wbc.data.arrays import Image
from wbc.photographs.cells import find_bodies
from wbc.photographs.quality import FLAGS, Measures, black_corners, count_flags, flag, measure_quality

SLIDE = (230, 225, 215)
NUCLEUS = (90, 50, 150)


def field(*nuclei: tuple[int, int], slide: tuple[int, int, int] = SLIDE, blur: float = 1.0) -> Image:
    image = np.full((240, 320, 3), slide, np.uint8)
    for place in nuclei or [(160, 120)]:
        cv2.circle(image, place, 30, NUCLEUS, -1)
    return cv2.GaussianBlur(image, (0, 0), blur)


def turned(image: Image) -> Image:
    return cv2.warpAffine(image, cv2.getRotationMatrix2D((160, 120), 20, 1), (320, 240))


def look(image: Image) -> Measures:
    return measure_quality(image, find_bodies(image))


CASES: dict[str, Callable[[], Image]] = {
    "": field,
    "cut_by_frame": lambda: field((160, 215)),
    "no_nucleus": lambda: np.full((240, 320, 3), SLIDE, np.uint8),
    "several_nuclei": lambda: field((80, 120), (240, 120)),
    "out_of_focus": lambda: field(blur=5),
    "too_dark": lambda: (field() * 0.4).astype(np.uint8),
    "too_bright": lambda: field(slide=(255, 255, 254)),
    "black_corners": lambda: turned(field()),
    "unusual_size": lambda: field()[20:220],
    "greyscale": lambda: cv2.cvtColor(cv2.cvtColor(field(), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
}


def test_there_is_a_case_of_every_flag() -> None:
    assert set(CASES) - {""} == set(FLAGS)


@pytest.mark.parametrize("name", sorted({*CASES} - {"no_nucleus", "greyscale"}))
def test_a_flag_is_raised_alone_among_ordinary_photographs(name: str) -> None:
    flags = flag([look(CASES[name]()), *[look(field())] * 5])
    assert flags == [name, "", "", "", "", ""]


@pytest.mark.parametrize("name", ["no_nucleus", "greyscale"])
def test_a_field_without_colour_has_no_nucleus_to_find(name: str) -> None:
    assert name in flag([look(CASES[name]()), *[look(field())] * 5])[0].split(";")


def test_a_cell_at_a_black_corner_is_cut() -> None:
    assert flag([look(turned(field((45, 45))))]) == ["cut_by_frame;black_corners"]


def test_the_lobes_of_one_nucleus_are_not_several() -> None:
    assert look(field((150, 120), (180, 150))).nuclei == 1


def test_black_in_the_middle_is_no_corner() -> None:
    image = field()
    image[100:140, 140:180] = 0
    assert not black_corners(image).any()
    assert not flag([look(image)])[0]


def test_no_size_is_unusual_in_a_set_of_many_sizes() -> None:
    flags = flag([look(field()[: 240 - 4 * step]) for step in range(5)])
    assert flags == [""] * 5


def test_flags_are_counted() -> None:
    assert {name: count for name, count in count_flags(["too_dark;greyscale", "", "too_dark"]).items() if count} == {
        "too_dark": 2,
        "greyscale": 1,
    }
    assert flag([]) == []
