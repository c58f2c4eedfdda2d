from pathlib import Path

import pytest

from wbc.tools.voc import Box, read_boxes, write_annotation


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
