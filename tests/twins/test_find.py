from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config

from wbc.data.arrays import Image
from wbc.sources.drawing import draw_smear
from wbc.sources.params import SmearsParams
from wbc.sources.smears import bring
from wbc.twins import find_links, find_twins, merge_groups

LEUKOCYTES = {"NEUTROPHIL": 20, "EOSINOPHIL": 15, "LYMPHOCYTE": 15, "MONOCYTE": 10}


def smear(number: int, *, take: int = 0) -> Image:
    return draw_smear(seed=5, number=number, classes=["NEUTROPHIL"], width=320, height=240, take=take)[0]


def turned(image: Image, degrees: float) -> Image:
    """Return the image turned round its middle, black where nothing was photographed."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    return cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR)


def compressed(image: Image) -> Image:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)


def sheared(image: Image) -> Image:
    shear = np.array([[1, 0.15, -15], [0, 1, 0]], float)
    return cv2.warpAffine(image, shear, image.shape[1::-1])


CHANGES: dict[str, Callable[[Image], Image]] = {
    "jpeg": compressed,
    "half": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "turn 37": lambda image: turned(image, 37),
    "turn 160": lambda image: turned(image, 160),
    "left-right": lambda image: image[:, ::-1],
    "up-down": lambda image: image[::-1],
    "mirrored and turned": lambda image: turned(image[:, ::-1], 75),
    "quarter": lambda image: np.rot90(image),
    "colour": lambda image: np.clip(image * [0.8, 1.1, 0.95] + 12, 0, 255).astype(np.uint8),
    "sheared": sheared,
}


def save(folder: Path, images: dict[str, Image]) -> tuple[list[str], list[Path]]:
    for name, image in images.items():
        cv2.imwrite(str(folder / f"{name}.png"), np.ascontiguousarray(image))
    return list(images), [folder / f"{name}.png" for name in images]


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The pairs found among a photograph of its own for each change, the changed one and twelve others."""
    images = {}
    for number, (name, change) in enumerate(CHANGES.items()):
        images[f"a {name}"] = smear(number)
        images[f"b {name}"] = change(smear(number))
    images |= {f"c {number}": smear(number) for number in range(50, 62)}
    return find_twins(*save(tmp_path_factory.mktemp("changed"), images)).set_index("id_a")


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_copy_is_found(changed: pd.DataFrame, name: str) -> None:
    assert changed.loc[f"a {name}", "id_b"] == f"b {name}"


def test_nothing_else_is_found(changed: pd.DataFrame) -> None:
    assert len(changed) == len(CHANGES)


def test_the_evidence_tells_what_was_done(changed: pd.DataFrame) -> None:
    assert changed.loc[["a jpeg", "a half", "a colour"], "kind"].tolist() == ["copy"] * 3
    assert changed["scale"].to_dict() == pytest.approx(dict.fromkeys(changed.index, 1.0) | {"a half": 0.5}, abs=0.02)
    assert changed.loc["a turn 37", "rotation"] == pytest.approx(37, abs=1)
    assert changed.loc["a turn 160", "rotation"] == pytest.approx(160, abs=1)
    assert changed.loc["a mirrored and turned", "rotation"] == pytest.approx(75, abs=1)
    assert changed.index[changed["mirrored"]].tolist() == ["a left-right", "a mirrored and turned", "a up-down"]
    assert changed["correlation"].min() > 0.85


@pytest.mark.parametrize("seed", [1, 7])
def test_the_twins_of_drawn_smears_are_found_and_no_others(tmp_path: Path, seed: int) -> None:
    quirks = dict.fromkeys(("multi_cell", "unlabelled", "missing", "corrupt", "duplicates"), 0)
    params = SmearsParams(seed=seed, width=320, height=240, counts=LEUKOCYTES, twins=15, **quirks)
    bring(tmp_path, params=params)
    files = sorted((tmp_path / "JPEGImages").iterdir())
    truth = {tuple(sorted(pair)) for pair in pd.read_csv(tmp_path / "twins.csv").values.tolist()}
    found = find_twins([path.stem for path in files], files)
    pairs = set(zip(found["id_a"], found["id_b"], strict=True))
    assert len(truth) == 15
    assert len(pairs & truth) >= 0.95 * len(truth)
    assert len(pairs & truth) >= 0.95 * len(pairs)


def test_dust_in_the_optics_makes_no_twins(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    dust = random.integers((5, 5, 2), (315, 235, 6), (25, 3)).tolist()
    images = {}
    for number in range(8):
        image = np.ascontiguousarray(smear(number))
        for x, y, radius in dust:
            cv2.circle(image, (x, y), radius, (90, 90, 90), -1, cv2.LINE_AA)
        images[str(number)] = image
    images["again"] = compressed(images["3"])
    found = find_twins(*save(tmp_path, images))
    assert found[["id_a", "id_b", "kind"]].values.tolist() == [["3", "again", "copy"]]


def test_the_nuclei_tell_the_same_cell_from_an_overlap_of_fields(tmp_path: Path) -> None:
    ids, files = save(tmp_path, {"a": smear(1)[:, :240], "b": smear(1)[:, 80:], "c": smear(2), "d": smear(3)})
    same = find_twins(ids, files, nuclei=np.array([[150.0, 100], [70, 100], [9, 9], [9, 9]]))
    other = find_twins(ids, files, nuclei=np.array([[40.0, 100], [200, 100], [9, 9], [9, 9]]))
    unknown = find_twins(ids, files)
    assert [table["kind"].tolist() for table in (same, other, unknown)] == [["same_cell"], ["overlap"], ["overlap"]]
    assert same.loc[0, ["shift_x", "shift_y"]].tolist() == pytest.approx([-80, 0], abs=1)


def test_the_order_of_files_and_the_number_of_workers_change_nothing(tmp_path: Path) -> None:
    ids, files = save(tmp_path, {f"{number}{take}": smear(number, take=take) for number in range(6) for take in (0, 1)})
    found = find_twins(ids, files)
    with parallel_config(backend="threading", n_jobs=1):
        again = find_twins(ids[::-1], files[::-1])
    assert len(found) == 6
    pd.testing.assert_frame_equal(found, again)


def test_files_that_do_not_decode_and_empty_fields_have_no_twins(tmp_path: Path) -> None:
    ids, files = save(tmp_path, {name: np.full((60, 80, 3), 200, np.uint8) for name in "ab"})
    (tmp_path / "c.png").write_bytes(b"")
    assert find_twins([*ids, "c"], [*files, tmp_path / "c.png"]).empty
    assert find_twins([], []).empty


def test_two_photographs_are_enough(tmp_path: Path) -> None:
    assert len(find_twins(*save(tmp_path, {"a": smear(1), "b": smear(1, take=1)}))) == 1


def test_many_copies_of_one_photograph_are_one_group(tmp_path: Path) -> None:
    copies = {f"{field}-{copy:02}": turned(smear(field), 13 * copy) for field in (1, 2) for copy in range(25)}
    ids, files = save(tmp_path, copies)
    found = find_twins(ids, files)
    groups = merge_groups(ids, list(zip(found["id_a"], found["id_b"], strict=True)))
    assert groups == ["1-00"] * 25 + ["2-00"] * 25


def test_links_join_two_sets_and_neither_within_itself(tmp_path: Path) -> None:
    old = {"old 0": smear(0), "old 1": smear(1), "old 1 again": smear(1, take=1), "old 2": smear(2)}
    new = {
        "new 5": smear(5),
        "new 1": smear(1)[:, ::-1],
        "new 5 again": smear(5, take=1),
        "new 0": compressed(smear(0)),
    }
    _, old_files = save(tmp_path, old)
    _, new_files = save(tmp_path, new)
    links = find_links(new_files, old_files, new_groups=list("abac"), old_groups=list("abbc"))
    assert {new for new, _ in links} == {1, 3}
    assert {old for new, old in links if new == 3} == {0}
    assert {old for new, old in links if new == 1} <= {1, 2}
    assert find_links(new_files[::2], old_files, new_groups=["a", "a"], old_groups=list("abbc")) == []


def test_nothing_has_no_links(tmp_path: Path) -> None:
    _, files = save(tmp_path, {"field": smear(0), "empty": np.full((60, 80, 3), 200, np.uint8)})
    assert find_links(files[:1], [], new_groups=["a"], old_groups=[]) == []
    assert find_links([], files, new_groups=[], old_groups=["a", "b"]) == []
    assert find_links(files[:1], files[1:], new_groups=["a"], old_groups=["a"]) == []


def test_each_copy_is_linked_with_its_photograph_and_a_known_group_once(tmp_path: Path) -> None:
    _, fields = save(tmp_path, {f"field {field}": smear(field) for field in range(6)})
    _, copies = save(tmp_path, {f"copy {number}": turned(smear(3), 13 * number) for number in range(25)})
    each = find_links(copies, fields, new_groups=[str(number) for number in range(25)], old_groups=list("abcdef"))
    assert each == [(number, 3) for number in range(25)]
    once = find_links(fields, copies, new_groups=list("abcdef"), old_groups=["a"] * 25)
    assert [field for field, _ in once] == [3]
