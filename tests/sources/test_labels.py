from pathlib import Path

import pandas as pd
import pytest

from wbc.records import read_records, write_records
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
