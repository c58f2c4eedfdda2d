import os

import pandas as pd
import pytest

from wbc.base.names import class_name, describe_near_equal, near_equal, require_harmless, require_two_classes, tidy


@pytest.mark.parametrize(("name", "expected"), [(" P1\u00a0 ", "P1"), ("E\u0301os \t 2", "\u00c9os 2"), ("", "")])
def test_blanks_and_accents_are_tidied(name: str, expected: str) -> None:
    assert tidy(name) == expected


def test_names_that_differ_in_case_accents_and_blanks_alone() -> None:
    assert near_equal(["P 1", "p1", "P_1", "P11", "\u00c9os", "Eos", "P11"]) == [
        ["Eos", "\u00c9os"],
        ["P 1", "P_1", "p1"],
    ]


def test_near_equal_classes_and_groups_are_reported_in_words() -> None:
    records = pd.DataFrame({"category": ["LY 1", "LY1, BAND", "BAND ,band", "BAND"], "group": ["P1", "p1", "P2", ""]})
    assert describe_near_equal(records) == [
        "note: 'LY 1', 'LY1' are 2 classes: write them alike if they are one",
        "note: 'P1', 'p1' are 2 groups: write them alike if they are one",
    ]


def test_bytes_that_are_no_utf_8_are_taken_for_latin_1() -> None:
    assert class_name(os.fsdecode(b"\xc9osinophile")) == "\u00c9OSINOPHILE"


@pytest.mark.parametrize(
    ("names", "message"),
    [(["A", "A", ""], "there is only one class, A, and"), ([""], "there is no class, and a class")],
)
def test_fewer_than_two_classes_are_refused(names: list[str], message: str) -> None:
    require_two_classes(["A", "B"])
    with pytest.raises(ValueError, match=message):
        require_two_classes(names)


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "@SUM(1)", "+ve", "-ve", "-1+1", "<script>", "p<0.05", "a|b"])
def test_names_that_are_more_than_text_are_refused(name: str) -> None:
    for column in ("category", "group"):
        records = pd.DataFrame({"category": ["BAND"], "group": ["P1"]}).assign(**{column: name})
        with pytest.raises(ValueError, match=r"is (a formula to spreadsheets|markup to HTML or Markdown), by its .: "):
            require_harmless(records)


@pytest.mark.parametrize("name", ["", "-1", "+", "-", "1-2", "CD34+ (blast) #1", "Ly & Mo; 50% 'x'", "a=b", "x@y"])
def test_names_that_are_text_are_taken(name: str) -> None:
    require_harmless(pd.DataFrame({"category": [name, "BAND"], "group": ["", name]}))
