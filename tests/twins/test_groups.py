import pandas as pd
import pytest

from wbc.twins import find_contradictions, merge_groups


@pytest.mark.parametrize(
    ("pairs", "supplied", "groups"),
    [
        ([], None, "abcde"),
        ([("e", "d"), ("d", "b")], None, "abcbb"),
        ([], ["x", "", "x", None, ""], "abade"),
        ([("b", "c")], ["x", "y", "x", "y", None], "aaaae"),
    ],
)
def test_groups_are_connected_components(
    pairs: list[tuple[str, str]], supplied: list[str | None] | None, groups: str
) -> None:
    assert merge_groups("abcde", pairs, supplied=supplied) == list(groups)


def test_contradictions_count_through_other_photographs_of_the_cell_but_not_through_overlaps() -> None:
    pairs = pd.DataFrame(
        [("a", "b", "same_cell"), ("b", "c", "copy"), ("c", "d", "overlap"), ("e", "f", "copy")],
        columns=["id_a", "id_b", "kind"],
    )
    labels = dict(zip("abcdef", "NNEMLL", strict=True))
    assert find_contradictions(pairs, labels=labels) == {"a": "c", "b": "c", "c": "a"}
