from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wbc.clean.rejects import parse_category
from wbc.data.tables import read_records, write_records
from wbc.sources.labels import read_labels


def lay_out(folder: Path, labels: str, *, photographs: str = "", annotations: str = "") -> Path:
    """Make a folder of raw data; photographs and annotations are given as numbers with spaces between."""
    for name, suffix, numbers in (("JPEGImages", "jpg", photographs), ("Annotations", "xml", annotations)):
        (folder / name).mkdir()
        for number in numbers.split():
            (folder / name / f"BloodImage_{int(number):05d}.{suffix}").touch()
    (folder / "labels.csv").write_text(labels)
    return folder


def test_a_record_for_each_row_and_each_photograph_without_a_row(tmp_path: Path) -> None:
    labels = ',Image,Category\n,12,"NEUTROPHIL,  EOSINOPHIL"\n, 3 ,\n,5,NA\n'
    records = read_labels(lay_out(tmp_path, labels, photographs="3 7 12", annotations="12 5"))
    assert records.to_csv(index=False).splitlines() == [
        "id,file,category,annotation,group,part",
        'BloodImage_00012,JPEGImages/BloodImage_00012.jpg,"NEUTROPHIL, EOSINOPHIL",Annotations/BloodImage_00012.xml,,',
        "BloodImage_00003,JPEGImages/BloodImage_00003.jpg,,,,",
        "BloodImage_00005,,NA,Annotations/BloodImage_00005.xml,,",
        "BloodImage_00007,JPEGImages/BloodImage_00007.jpg,,,,",
    ]
    write_records(tmp_path, records)
    pd.testing.assert_frame_equal(read_records(tmp_path), records)


@settings(max_examples=25)
@given(
    rows=st.dictionaries(st.integers(0, 99_999), st.text("aBé ,\t\"'0", max_size=12), max_size=8),
    photographs=st.sets(st.integers(0, 99_999), min_size=1, max_size=8),
    data=st.data(),
)
def test_any_labels_become_one_record_each_and_keep_their_classes(rows, photographs, data) -> None:
    if rows:  # photographs and rows that have nothing in common are not all that there is
        photographs = photographs | data.draw(st.sets(st.sampled_from(sorted(rows))))
    table = pd.DataFrame({"Image": list(rows), "Category": list(rows.values())})
    with TemporaryDirectory() as folder:
        present = " ".join(map(str, sorted(photographs)))
        records = read_labels(lay_out(Path(folder), table.to_csv(), photographs=present, annotations=present))
        write_records(Path(folder), records)
        read = read_records(Path(folder))
    pd.testing.assert_frame_equal(read, records, check_dtype=False)
    names = {number: f"BloodImage_{number:05d}" for number in rows.keys() | photographs}
    others = sorted(photographs - rows.keys())
    assert records["id"].tolist() == [names[number] for number in [*rows, *others]]
    labelled = records[: len(rows)]
    assert [parse_category(text) for text in labelled["category"]] == [parse_category(text) for text in rows.values()]
    assert (records["category"][len(rows) :] == "").all()
    found = {names[number] for number in photographs}
    assert set(records.loc[records["file"] != "", "id"]) == found
    assert set(records.loc[records["annotation"] != "", "id"]) == found


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("Image,Class\n1,NEUTROPHIL\n", r"labels\.csv needs the columns Image and Category, has \['Image', 'Class'\]"),
        ("Image,Category\n1,NEUTROPHIL\nseven,NEUTROPHIL\n", r"labels\.csv: Image must be a number, got 'seven'"),
        ("Image,Category\n,NEUTROPHIL\n", r"labels\.csv: Image must be a number, got ''"),
    ],
)
def test_labels_that_cannot_be_understood(tmp_path: Path, labels: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_labels(lay_out(tmp_path, labels))
