import pytest

from wbc.sources.layout import find_places


def places(*folders: str, include: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    return [tuple(place) for place in find_places([tuple(names.split("/")) for names in folders], include=include)]


def test_patients_above_the_classes_are_groups(capsys: pytest.CaptureFixture) -> None:
    assert places("p1/BAND", "p1/BLAST", "p2/BAND", "p2/BLAST") == [
        ("", "BAND", "p1"),
        ("", "BLAST", "p1"),
        ("", "BAND", "p2"),
        ("", "BLAST", "p2"),
    ]
    assert "p1, p2 are taken as groups, BAND, BLAST as classes" in capsys.readouterr().out


@pytest.mark.parametrize("slides", ["Slides", "slide 1", "s{}"])
def test_patients_and_slides_above_the_classes(slides: str) -> None:
    folders = [f"P0{patient}/{slides.format(patient)}/{name}" for patient in (1, 2) for name in ("BAND", "BLAST")]
    assert [place[1:] for place in places(*folders)] == [
        ("BAND", "P01"),
        ("BLAST", "P01"),
        ("BAND", "P02"),
        ("BLAST", "P02"),
    ]


def test_slides_below_the_classes_leave_them_what_they_are() -> None:
    assert places("BAND/slide1", "BAND/slide2", "BLAST/slide1", "BLAST/slide2")[1::2] == [
        ("", "BAND", ""),
        ("", "BLAST", ""),
    ]
    assert places("0/a", "1/b", "1") == [("", "0", ""), ("", "1", ""), ("", "1", "")]


@pytest.mark.parametrize(
    ("train", "test"),
    [("training_set", "test_set"), ("train_data", "test_data"), ("TRAIN", "TEST_SIMPLE"), ("my train", "my-test-2")],
)
def test_parts_of_other_names_hold_the_same_folders(train: str, test: str) -> None:
    assert places(f"{train}/BAND", f"{train}/BLAST", f"{test}/BAND") == [
        ("train", "BAND", ""),
        ("train", "BLAST", ""),
        ("test", "BAND", ""),
    ]


def test_parts_below_the_classes_and_one_folder_round_the_classes() -> None:
    assert places("BAND/train", "BAND/test", "BLAST/train") == [
        ("train", "BAND", ""),
        ("test", "BAND", ""),
        ("train", "BLAST", ""),
    ]
    assert places("BAND/train", "BLAST/test") == [("train", "BAND", ""), ("test", "BLAST", "")]
    assert places("train/images/BAND", "test/images/BLAST") == [("train", "BAND", ""), ("test", "BLAST", "")]


def test_patients_below_the_parts() -> None:
    folders = ["train/P1/BAND", "train/P1/BLAST", "train/P2/BAND", "test/P3/BAND", "test/P3/BLAST"]
    assert places(*folders)[::2] == [("train", "BAND", "P1"), ("train", "BAND", "P2"), ("test", "BLAST", "P3")]


def test_a_folder_that_is_no_part_but_holds_the_same_folders_is_refused() -> None:
    with pytest.raises(ValueError, match="the folder holdout holds the same folders as TEST, TRAIN, BAND: give it the"):
        places("TRAIN/BAND", "TEST/BAND", "holdout/BAND")


def test_what_cannot_be_told_is_refused_and_include_tells_it() -> None:
    folders = ["Anna/BAND", "Anna/BLAST", "Bea/BAND", "Bea/BLAST"]
    with pytest.raises(
        ValueError, match="the folders Anna, Bea hold folders of the same names, BAND, BLAST: which are"
    ):
        places(*folders)
    assert places(*folders, include=("BAND", "BLAST"))[2] == ("", "BAND", "Bea")
    assert places(*folders, include=("ANNA",))[2] == ("", "BEA", "")
    with pytest.raises(ValueError, match="the folders 0, 1 hold folders of the same names, slide1, slide2: which are"):
        places("0/slide1", "0/slide2", "1/slide1", "1/slide2")


def test_two_sets_in_one_folder_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"the folder b/images holds parts of a split, other images do not .* set source"
    ):
        places("a/JPEG", "b/images/TRAIN/BAND", "b/images/TEST/BAND")
