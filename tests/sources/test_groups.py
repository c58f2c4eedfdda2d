from pathlib import Path

import pandas as pd
import pytest

from wbc.base.params import ParamsError, validate
from wbc.sources import groups as groups_module
from wbc.sources.groups import supply_groups
from wbc.sources.params import GroupsParams

NO_GROUPS = str(Path(groups_module.__file__).with_name("no_groups.csv"))
IDS = ["train/BAND/p1_a", "train/BAND/p2_b", "test/BLAST/p1_c"]
RECORDS = pd.DataFrame({"id": IDS, "group": ["own", "", ""], "category": ["BAND", "BAND", "BLAST"]})


def groups(*, file: str = NO_GROUPS, pattern: str | None = None) -> list[str]:
    supplied = supply_groups(RECORDS, params=GroupsParams(file=file, pattern=pattern))
    assert supplied.drop(columns="group").equals(RECORDS.drop(columns="group"))
    return supplied["group"].tolist()


def write(folder: Path, text: str) -> str:
    (folder / "groups.csv").write_text(text, encoding="utf-8-sig")
    return str(folder / "groups.csv")


def test_a_file_names_groups_and_the_others_keep_theirs(project: Path, capsys: pytest.CaptureFixture) -> None:
    file = write(project, "group,remark,id\nslide 7,x,test/BLAST/p1_c\nslide 7,,train/BAND/p2_b\n")
    assert groups(file=file) == ["own", "slide 7", "slide 7"]
    assert "groups.csv names no group for 1 of 3 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("^(p[0-9])_", ["p1", "p2", "p1"]), ("^([^/]+)/", ["train", "train", "test"]), ("(.)$", ["a", "b", "c"])],
)
def test_a_pattern_captures_the_group_in_the_name_or_with_a_slash_in_the_path(
    pattern: str, expected: list[str]
) -> None:
    assert groups(pattern=pattern) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,group\nBLAST/p1_c,1\nx,2\n", "2 ids are unknown, the first 'BLAST/p1_c'; an id looks like 'test/BLAST"),
        ("id,patient\nx,1\n", r"needs the columns id and group, has \['id', 'patient'\]"),
        ("id,group\ntest/BLAST/p1_c,1\ntest/BLAST/p1_c,2\n", "1 ids have two groups, the first 'test/BLAST/p1_c'"),
        ("", r"groups\.csv is not a CSV file"),
    ],
)
def test_a_file_that_does_not_fit(project: Path, text: str, message: str) -> None:
    file = write(project, text)
    with pytest.raises(ValueError, match=message):
        groups(file=file)


def test_a_file_that_is_not_there(project: Path) -> None:
    with pytest.raises(ValueError, match=r"groups\.csv does not exist"):
        groups(file=str(project / "groups.csv"))


def test_names_without_a_match_are_counted() -> None:
    with pytest.raises(ValueError, match=r"'p2_\(\.\*\)' finds no group in 2 of 3 names, the first 'p1_a'"):
        groups(pattern="p2_(.*)")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"file": "x", "pattern": "("}, "pattern: no regular expression"),
        ({"file": "x", "pattern": "x"}, "pattern: must have one capturing group, has 0"),
    ],
)
def test_params_that_do_not_fit(params: dict[str, str], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        validate(GroupsParams, params, where="data.groups")


def test_a_pattern_stands_in_where_the_file_names_none_and_an_empty_file_is_silent(
    project: Path, capsys: pytest.CaptureFixture
) -> None:
    assert groups(pattern="^(p[0-9])_") == ["p1", "p2", "p1"]
    assert capsys.readouterr().out == ""
    file = write(project, "id,group\ntest/BLAST/p1_c,slide 7\n")
    assert groups(file=file, pattern="^(p[0-9])_") == ["p1", "p2", "slide 7"]


def test_blanks_and_spellings_of_an_accent_make_no_second_group(project: Path) -> None:
    text = (
        "id , group\ntrain/BAND/p1_a,Zo\u00e9 1\ntrain/BAND/p2_b, Zoe\u0301  1 \n test/BLAST/p1_c ,Zo\u00e9 1\u00a0\n"
    )
    assert groups(file=write(project, text)) == ["Zo\u00e9 1"] * 3
