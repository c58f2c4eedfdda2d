"""Generated smears: the same bytes for the same seed, the quirks exactly as asked, cells that can be found."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config

from wbc.photographs.cells import find_nucleus
from wbc.sources.drawing import draw_smear
from wbc.sources.labels import read_labels
from wbc.sources.morphologies import LEUKOCYTES
from wbc.sources.params import MORPHOLOGIES, SmearsParams
from wbc.sources.smears import bring, plan_photographs
from wbc.tools.voc import read_boxes

PARAMS = SmearsParams(
    seed=5,
    width=320,
    height=240,
    counts={"NEUTROPHIL": 7, "EOSINOPHIL": 4, "LYMPHOCYTE": 3, "MONOCYTE": 0, "BASOPHIL": 1},
    multi_cell=6,
    twins=4,
    unlabelled=2,
    missing=8,
    corrupt=1,
    duplicates=2,
)


@pytest.fixture(scope="module")
def smears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder filled once for all tests that only read it."""
    folder = tmp_path_factory.mktemp("smears")
    bring(folder, params=PARAMS)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def load(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image


def test_same_bytes_for_the_same_seed_whatever_the_number_of_workers(smears: Path, tmp_path: Path) -> None:
    with parallel_config(backend="threading", n_jobs=3):
        bring(tmp_path, params=PARAMS)
    assert contents(tmp_path) == contents(smears)


def test_a_folder_left_by_a_killed_run_ends_the_same(smears: Path, tmp_path: Path) -> None:
    (tmp_path / "JPEGImages").mkdir()
    first = min((smears / "JPEGImages").iterdir())
    (tmp_path / "JPEGImages" / first.name).write_bytes(first.read_bytes()[:100])
    bring(tmp_path, params=PARAMS)
    assert contents(tmp_path) == contents(smears)


def test_another_seed_draws_other_photographs() -> None:
    first, _ = draw_smear(seed=0, number=0, classes=["NEUTROPHIL"])
    other, _ = draw_smear(seed=1, number=0, classes=["NEUTROPHIL"])
    assert np.abs(first.astype(int) - other).mean() > 5


def test_a_photograph_depends_on_its_place_in_the_plan_alone(smears: Path) -> None:
    one = next(one for one in plan_photographs(PARAMS) if one.file == "whole" and one.take == 0)
    image, boxes = draw_smear(seed=5, number=one.field, classes=one.classes, width=320, height=240)
    assert (
        np.abs(load(smears / f"JPEGImages/BloodImage_{one.number:05d}.jpg")[..., ::-1] - image.astype(int)).mean() < 4
    )
    assert read_boxes(smears / f"Annotations/BloodImage_{one.number:05d}.xml") == boxes


def test_labels_have_the_form_of_bccd(smears: Path) -> None:
    lines = (smears / "labels.csv").read_bytes().split(b"\r\n")
    assert lines[0] == b",Image,Category"
    assert [line.split(b",")[:2] for line in lines[1:-1]] == [[b"", str(number).encode()] for number in range(38)]
    assert lines[-1] == b""


def test_counts_and_quirks_are_those_asked_for(smears: Path) -> None:
    records = read_labels(smears).set_index("id")
    whole = records[records["file"] != ""]
    assert len(records) == 15 + 6 + 4 + 2 + 8 + 1 + 2
    assert (records["file"] == "").sum() == 8
    assert (records["file"] == "").tolist() == (records["annotation"] == "").tolist()
    assert (records.loc[records["file"] == "", "category"] == "").sum() == 6
    assert (whole["category"] == "").sum() == 2
    cells = whole["category"].str.count(",") + 1
    assert (cells > 1).sum() == 6
    boxes = {stem: read_boxes(smears / path) for stem, path in whole["annotation"].items()}
    assert [sum(box.name == "WBC" for box in boxes[stem]) for stem in whole.index] == cells.tolist()
    singles = whole[(cells == 1) & (whole["category"] != "")]
    repeated = pd.read_csv(smears / "twins.csv")["id_b"]
    assert len(repeated) == 4
    assert len(singles.drop(repeated)) == 15 + 1 + 2


def test_order_of_classes_is_shuffled() -> None:
    params = PARAMS.model_copy(update={"twins": 0, "duplicates": 0})
    whole = [one for one in plan_photographs(params) if one.file == "whole"]
    numbers = [one.number for one in whole if one.category == "NEUTROPHIL"]
    assert numbers != list(range(numbers[0], numbers[0] + 7))
    assert numbers[-1] - numbers[0] > 16


def test_several_cells_are_written_in_both_styles_and_with_a_class_twice() -> None:
    categories = [one.category for one in plan_photographs(PARAMS) if len(one.classes) > 1]
    assert any(", " in category for category in categories)
    assert any("," in category and ", " not in category for category in categories)
    assert any(len(set(category.replace(" ", "").split(","))) == 1 for category in categories)
    assert {category.count(",") + 1 for category in categories} == {2, 3}


def test_corrupt_files_alone_do_not_decode(smears: Path) -> None:
    corrupt = [path for path in (smears / "JPEGImages").iterdir() if cv2.imread(str(path)) is None]
    assert [path.stem for path in corrupt] == [
        f"BloodImage_{one.number:05d}" for one in plan_photographs(PARAMS) if one.file == "corrupt"
    ]
    labels = pd.read_csv(smears / "labels.csv", keep_default_na=False).set_index("Image")["Category"]
    assert labels[int(corrupt[0].stem[-5:])] in PARAMS.counts


def test_duplicates_are_byte_for_byte_another_file_with_the_same_label(smears: Path) -> None:
    files = [path.read_bytes() for path in (smears / "JPEGImages").iterdir()]
    assert len(files) - len(set(files)) == 2
    repeats = [one for one in plan_photographs(PARAMS) if one.number != one.field and one.take == 0]
    labels = pd.read_csv(smears / "labels.csv", keep_default_na=False).set_index("Image")["Category"]
    assert [labels[one.number] for one in repeats] == [labels[one.field] for one in repeats]


def test_twins_show_the_same_field_shifted(smears: Path) -> None:
    twins = pd.read_csv(smears / "twins.csv")
    labels = pd.read_csv(smears / "labels.csv", keep_default_na=False).set_index("Image")["Category"]
    for first, second in twins.itertuples(index=False):
        assert abs(int(first[-5:]) - int(second[-5:])) > 1
        assert labels[int(first[-5:])] == labels[int(second[-5:])]
        one, other = (load(smears / f"JPEGImages/{stem}.jpg") for stem in (first, second))
        # A shift of 20 to 120 px at 640 x 480 is 10 to 60 px here; the middle of the first is in the second.
        middle = one[70:170, 70:250]
        match = cv2.matchTemplate(other, middle, cv2.TM_CCOEFF_NORMED)
        _, best, _, (x, y) = cv2.minMaxLoc(match)
        assert best > 0.9
        assert 9 <= np.hypot(x - 70, y - 70) <= 61
        assert not np.array_equal(one, other)


def test_each_take_of_a_field_has_its_own_light_and_shift() -> None:
    takes = [draw_smear(seed=0, number=0, classes=["MONOCYTE"], take=take) for take in (1, 2)]
    assert takes[0][1] != takes[1][1]
    corners = [np.median(image[:40, :40].reshape(-1, 3), axis=0).tolist() for image, _ in takes]
    assert corners[0] != corners[1]


@pytest.mark.parametrize("name", MORPHOLOGIES)
@pytest.mark.parametrize("size", [(640, 480), (160, 160)])
def test_every_morphology_has_a_nucleus_that_is_found_in_its_box(name: str, size: tuple[int, int]) -> None:
    width, height = size
    for number in range(3):
        image, boxes = draw_smear(seed=0, number=number, classes=[name], width=width, height=height)
        assert image.shape == (height, width, 3)
        assert image.dtype == np.uint8
        [cell] = [box for box in boxes if box.name == "WBC"]
        nucleus = find_nucleus(image)
        assert nucleus is not None
        assert cell.contains(nucleus.x, nucleus.y)
        inside = image[cell.top : cell.bottom, cell.left : cell.right].reshape(-1, 3)
        # A stained nucleus is blue and lets through little green; no red cell is both.
        assert ((inside[:, 1] < 140) & (inside[:, 2] > inside[:, 0])).mean() > 0.1


def test_boxes_lie_in_the_frame_and_platelets_stay_small() -> None:
    platelets = []
    for number in range(12):
        _, boxes = draw_smear(seed=0, number=number, classes=["EOSINOPHIL", "LYMPHOCYTE"], width=500, height=300)
        assert {box.name for box in boxes} <= {"WBC", "RBC", "Platelets"}
        assert all(0 <= box.left < box.right <= 500 and 0 <= box.top < box.bottom <= 300 for box in boxes)
        assert sum(box.name == "RBC" for box in boxes) >= 3
        platelets += [max(box.right - box.left, box.bottom - box.top) for box in boxes if box.name == "Platelets"]
    assert 0 < max(platelets) < 45 * 300 / 480


def test_every_morphology_of_the_parameters_is_drawn() -> None:
    assert set(LEUKOCYTES) == set(MORPHOLOGIES)


def test_a_photograph_without_a_class_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one leukocyte"):
        draw_smear(seed=0, number=0, classes=[])


def test_the_plan_of_many_is_quick_and_keeps_twins_apart() -> None:
    params = PARAMS.model_copy(update={"counts": {"NEUTROPHIL": 15_000, "BLAST": 5_000}, "twins": 500})
    plan = plan_photographs(params)
    assert [one.number for one in plan] == list(range(20_000 + 6 + 500 + 2 + 8 + 1 + 2))
    assert min(abs(one.number - one.field) for one in plan if one.take) > 5_000
