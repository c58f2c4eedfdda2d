from pathlib import Path

import pandas as pd
import pytest

from wbc.voc import Box, read_boxes, read_records, write_annotation, write_records


def lay_out(folder: Path, labels: str, *, photographs: str = "", annotations: str = "") -> Path:
    """Make a folder of raw data; photographs and annotations are given as numbers with spaces between."""
    for name, suffix, numbers in (("JPEGImages", "jpg", photographs), ("Annotations", "xml", annotations)):
        (folder / name).mkdir()
        for number in numbers.split():
            (folder / name / f"BloodImage_{int(number):05d}.{suffix}").touch()
    (folder / "labels.csv").write_text(labels)
    return folder


def test_boxes_survive_writing_and_reading(tmp_path: Path) -> None:
    boxes = [Box("WBC", 0, 10, 200, 180), Box("Platelets & co", 5, 6, 7, 8)]
    write_annotation(tmp_path / "x.xml", image="x.jpg", width=640, height=480, boxes=boxes)
    assert read_boxes(tmp_path / "x.xml") == boxes


def test_spaces_and_fractions_in_an_annotation(tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text(
        "<annotation><object><name> WBC\n</name><bndbox><xmin> 1 </xmin><ymin>2.9</ymin>"
        "<xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>"
    )
    assert read_boxes(tmp_path / "x.xml") == [Box("WBC", 1, 2, 3, 4)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<annotation><object>",
        "<annotation><object><name>WBC</name></object></annotation>",
        "<annotation><object><bndbox><xmin>left</xmin></bndbox></object></annotation>",
        "<annotation><object><bndbox><xmin>1e999</xmin></bndbox></object></annotation>",
        '<?xml version="1.0" encoding="klingon"?><annotation/>',
    ],
)
def test_a_broken_annotation_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.xml").write_text(text)
    with pytest.raises(ValueError, match=r"x\.xml is not a Pascal VOC annotation"):
        read_boxes(tmp_path / "x.xml")


def test_a_point_on_the_edge_is_inside() -> None:
    box = Box("WBC", 10, 20, 30, 40)
    assert box.contains(10, 40)
    assert box.contains(20.5, 30.5)
    assert not box.contains(9.9, 30)
    assert not box.contains(20, 40.1)


def test_a_record_for_each_row_and_each_photograph_without_a_row(tmp_path: Path) -> None:
    labels = ',Image,Category\n,12,"NEUTROPHIL,  EOSINOPHIL"\n, 3 ,\n,5,NA\n'
    records = write_records(lay_out(tmp_path, labels, photographs="3 7 12", annotations="12 5"))
    assert records.to_csv(index=False).splitlines() == [
        "id,file,category,annotation",
        'BloodImage_00012,JPEGImages/BloodImage_00012.jpg,"NEUTROPHIL, EOSINOPHIL",Annotations/BloodImage_00012.xml',
        "BloodImage_00003,JPEGImages/BloodImage_00003.jpg,,",
        "BloodImage_00005,,NA,Annotations/BloodImage_00005.xml",
        "BloodImage_00007,JPEGImages/BloodImage_00007.jpg,,",
    ]
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
        write_records(lay_out(tmp_path, labels))
