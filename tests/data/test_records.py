from pathlib import Path

import pandas as pd
import pytest

from wbc.data.tables import read_records, write_records

ROW = {"id": "007", "file": "images/007.png", "category": "NA", "annotation": "", "group": "", "part": "train"}


def test_records_survive_writing_and_reading(tmp_path: Path) -> None:
    records = pd.DataFrame([ROW, ROW | {"id": "8", "file": "", "category": "A, B", "group": "1", "part": ""}])
    write_records(tmp_path, records)
    pd.testing.assert_frame_equal(read_records(tmp_path), records)


@pytest.mark.parametrize("change", [{"id": ""}, {"id": "7"}, {"part": "val"}, {"group": None}, {"extra": 1}], ids=str)
def test_a_broken_rule_is_named(tmp_path: Path, change: dict) -> None:
    with pytest.raises(ValueError, match=rf"(?s)the table of records is not in order:.*{next(iter(change))}"):
        write_records(tmp_path, pd.DataFrame([ROW | {"id": "7"}, ROW | change]))
    assert not (tmp_path / "records.csv").exists()
