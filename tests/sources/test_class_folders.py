from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbc.base.names import class_name
from wbc.data.tables import RECORDS, check_table
from wbc.sources.class_folders import Selection, describe_left_out, is_image, list_folder, plan_records


def plan(*paths: str, **selection: object) -> list[tuple[str, str, str]]:
    """Return (id, category, part) of each record."""
    records, taken = plan_records(paths, selection=Selection(**selection))
    assert len(records) == len(taken)
    return list(records[["id", "category", "part"]].itertuples(index=False, name=None))


def test_class_folders() -> None:
    assert plan("blast/2.png", "band neutrophils/1.JPG") == [
        ("band neutrophils/1", "BAND NEUTROPHILS", ""),
        ("blast/2", "BLAST", ""),
    ]


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        ("train", "train"),
        ("TRAIN", "train"),
        ("Training", "train"),
        ("val", "validation"),
        ("Valid", "validation"),
        ("validation", "validation"),
        ("Test", "test"),
        ("TestA", "test"),
        ("test-2", "test"),
        ("testing", "test"),
    ],
)
def test_parts_above_the_classes(folder: str, part: str) -> None:
    assert plan(f"{folder}/BAND/1.png") == [(f"{folder}/BAND/1", "BAND", part)]


def test_a_class_may_be_called_nearly_like_a_part() -> None:
    assert plan("TEST_SIMPLE/1.png", "trainee/2.png") == [
        ("TEST_SIMPLE/1", "TEST_SIMPLE", ""),
        ("trainee/2", "TRAINEE", ""),
    ]


def test_folders_that_hold_everything_are_passed_over_and_deeper_ones_belong_to_the_id() -> None:
    assert plan("set/v2/BAND/p1/a.png", "set/v2/BAND/p2/a.png", "set/v2/BLAST/p1/a.png") == [
        ("BAND/p1/a", "BAND", ""),
        ("BAND/p2/a", "BAND", ""),
        ("BLAST/p1/a", "BLAST", ""),
    ]
    assert plan("set/train/BAND/a.png", "set/train/BAND/b.png")[0] == ("train/BAND/a", "BAND", "train")
    assert plan("set/BAND/a.png") == [("BAND/a", "BAND", "")]


def test_an_image_outside_of_any_class_has_no_category() -> None:
    assert plan("a.png", "BAND/b.png", "test/c.png") == [
        ("BAND/b", "BAND", ""),
        ("a", "", ""),
        ("test/c", "", "test"),
    ]


def test_classes_are_chosen_and_renamed_in_any_case() -> None:
    paths = ["A/1.png", "B/2.png", "C/3.png", "d/4.png"]
    assert plan(*paths, include=["A", "D"], rename={"D": "A"}) == [("A/1", "A", ""), ("d/4", "A", "")]
    assert plan(*paths, exclude=["A", "B", "C"]) == [("d/4", "D", "")]


def test_a_comma_does_not_make_two_cells() -> None:
    assert class_name(" Ly,  atypical") == "LY ATYPICAL"


def test_two_spellings_of_an_accent_are_one_class_and_one_id() -> None:
    assert plan("Bla\u0308st/e\u0301.png", "Bl\u00e4st/b.png") == [
        ("Bl\u00e4st/\u00e9", "BL\u00c4ST", ""),
        ("Bl\u00e4st/b", "BL\u00c4ST", ""),
    ]


def test_an_id_is_no_formula() -> None:
    assert [row[0] for row in plan("=1+1.png", "-2.png", "A/=3.png")] == ["_2", "_1+1", "A/=3"]


def test_ids_are_unique_and_plain() -> None:
    identifiers = [
        row[0] for row in plan("A/x.jpg", "A/x.png", "A/y;1.png", "A/y,1.png", "A/Z.bmp", "A/z.bmp", "A/é.tif")
    ]
    assert identifiers == ["A/Z.bmp", "A/x.jpg", "A/x.png", "A/y_1.png", "A/y_1~2.png", "A/z~2.bmp", "A/é"]


@given(st.sets(st.from_regex(r"\A[ab,]{1,2}(\.png|\.jpg)?\.(png|jpg|JPG)\Z"), min_size=1, max_size=12))
def test_ids_and_files_are_unique_whatever_the_names(names: set[str]) -> None:
    records, taken = plan_records([f"A/{name}" for name in names], selection=Selection())
    assert sorted(taken) == sorted(f"A/{name}" for name in names)
    check_table(records, RECORDS, where="the records")
    assert records["file"].str.lower().is_unique


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"include": ["C"]}, "include names C, but there are only A 2, B 1"),
        ({"exclude": ["A", "D"]}, "exclude names D, but"),
        ({"rename": {"E": "A"}}, "rename names E, but"),
        ({"exclude": ["A", "B"]}, "no image is left: include and exclude rule out each of A 2, B 1"),
    ],
)
def test_classes_that_are_not_there(selection: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan("A/1.png", "A/2.png", "B/3.png", **selection)


def test_no_image_at_all() -> None:
    with pytest.raises(ValueError, match=r"there is no image; the suffixes known are \.jpg"):
        plan()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("A/x.TIFF", True),
        ("x.jpeg", True),
        ("A/Thumbs.db", False),
        ("A/._x.jpg", False),
        (".cache/x.jpg", False),
        ("__MACOSX/x.jpg", False),
    ],
)
def test_what_is_an_image(path: str, expected: bool) -> None:
    assert is_image(path) == expected


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A class folder, one that is a link to a folder elsewhere, an empty one, links that lead nowhere or back."""
    for name in ("set/BAND/a.png", "set/BAND/b.webp", "elsewhere/c.jp2", "set/.hidden/d.png", "set/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "set" / "MONO" / "inner").mkdir(parents=True)
    (tmp_path / "set" / "BLAST").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "BAND" / "e.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "set" / "BAND" / "back").symlink_to(tmp_path / "set")
    return tmp_path / "set"


def test_links_are_followed_and_what_is_no_image_is_told(linked: Path) -> None:
    listed = list_folder(linked)
    assert listed.images == ["BAND/a.png", "BAND/b.webp", "BLAST/c.jp2"]
    assert describe_left_out(listed) == [
        "1 files that are no images are left out, the first notes.txt (.txt 1)",
        "1 folders hold no image of a known format, the first MONO",
        "2 links lead nowhere, or back to where they are, the first BAND/back",
    ]
    assert list_folder(linked, leave_out=linked / "BAND").images == ["BLAST/c.jp2"]


def test_patients_above_the_classes_become_groups() -> None:
    records, _ = plan_records(
        [f"p{patient}/{name}/{patient}.png" for patient in (1, 2) for name in ("A", "B")], selection=Selection()
    )
    assert records[["id", "category", "group"]].values.tolist() == [
        ["p1/A/1", "A", "p1"],
        ["p1/B/1", "B", "p1"],
        ["p2/A/2", "A", "p2"],
        ["p2/B/2", "B", "p2"],
    ]
