from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wbc.base.files import write_csv
from wbc.data.tables import GROUPED_SPLIT, MANIFEST, TRAIN, check_table, read_table

ROW = {
    "id": "007",
    "label": "NA",
    "group": "007",
    "part": "",
    "file": "JPEGImages/007.jpg",
    "width": 640,
    "height": 480,
    "nucleus_x": 100.0,
    "nucleus_y": 50.5,
    "nucleus_area": 900,
    "boxes": 1,
    "box_left": 1,
    "box_top": 2,
    "box_right": 3,
    "box_bottom": 4,
    "flags": "",
}
NO_BOX = {"boxes": 0, "box_left": None, "box_top": None, "box_right": None, "box_bottom": None}


@pytest.mark.parametrize("rows", [[ROW], [ROW, ROW | NO_BOX | {"id": "8"}]], ids=["whole numbers", "a gap"])
def test_a_manifest_survives_writing_and_reading(tmp_path: Path, rows: list[dict]) -> None:
    manifest = check_table(pd.DataFrame(rows), MANIFEST, where="the manifest")
    write_csv(tmp_path / "manifest.csv", manifest)
    read = read_table(tmp_path / "manifest.csv", MANIFEST)
    pd.testing.assert_frame_equal(read, manifest)
    assert read.loc[0, ["id", "label"]].tolist() == ["007", "NA"]
    assert read["box_left"].dtype == float


TEXT = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=12) | st.sampled_from(["NA", "1e5", "007"])
PIXELS = st.none() | st.floats(0, 1e5, width=32)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"id": TEXT, "label": TEXT, "group": TEXT, "part": st.sampled_from(["", "test"]), "file": TEXT}
            | dict.fromkeys(("width", "height"), st.integers(1, 10**6))
            | dict.fromkeys(("nucleus_area", "boxes"), st.integers(0, 10**6))
            | {name: PIXELS for name in ("nucleus_x", "nucleus_y", *NO_BOX) if name != "boxes"}
            | {"flags": st.sampled_from(["", "cut;dark"])}
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda row: row["id"],
    )
)
def test_any_manifest_survives_writing_and_reading(tmp_path: Path, rows: list[dict]) -> None:
    manifest = check_table(pd.DataFrame(rows)[list(MANIFEST.columns)], MANIFEST, where="the manifest")
    write_csv(tmp_path / "manifest.csv", manifest)
    read = read_table(tmp_path / "manifest.csv", MANIFEST)
    pd.testing.assert_frame_equal(read, manifest, rtol=1e-7)
    write_csv(tmp_path / "again.csv", read)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "manifest.csv").read_bytes()


def test_empty_text_stays_empty(tmp_path: Path) -> None:
    row = {"label": "MONOCYTE", "kind": "view", "id": "a", "partner": "", "copy": 1}
    write_csv(tmp_path / "train.csv", pd.DataFrame([row, row | {"kind": "smote", "partner": "b"}]))
    assert read_table(tmp_path / "train.csv", TRAIN)["partner"].tolist() == ["", "b"]


@pytest.mark.parametrize(
    "change", [{"width": 0}, {"width": 1.5}, {"label": ""}, {"file": None}, {"nucleus_area": -1}, {"extra": 1}], ids=str
)
def test_a_broken_rule_is_named(change: dict) -> None:
    with pytest.raises(ValueError, match=rf"(?s)the manifest is not in order:.*{next(iter(change))}"):
        check_table(pd.DataFrame([ROW | change]), MANIFEST, where="the manifest")


def test_an_absent_column_and_a_repeated_id_are_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "manifest.csv", pd.DataFrame([ROW, ROW]).drop(columns="group"))
    with pytest.raises(ValueError, match=r"(?s)manifest\.csv is not in order:.*group") as caught:
        read_table(tmp_path / "manifest.csv", MANIFEST)
    assert "field_uniqueness" in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "message"), [(["train", "test"], "a group crosses splits"), (["train", "tset"], "tset")]
)
def test_a_split_keeps_groups_together_and_knows_three_parts(parts: list[str], message: str) -> None:
    table = pd.DataFrame({"id": ["a", "b"], "label": "MONOCYTE", "group": "a", "split": parts})
    with pytest.raises(ValueError, match=message):
        check_table(table, GROUPED_SPLIT, where="the split")
