"""The one layout of raw data: JPEGImages/, Annotations/ (Pascal VOC), labels.csv, and records.csv made from them."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from wbc.files import write_csv

RECORD_COLUMNS = ["id", "file", "category", "annotation"]


@dataclass(frozen=True)
class Box:
    """An annotated object: its name and its edges in pixels of the photograph."""

    name: str
    left: int
    top: int
    right: int
    bottom: int

    def contains(self, x: float, y: float) -> bool:
        """Tell whether the point lies inside the box or on its edge."""
        return self.left <= x <= self.right and self.top <= y <= self.bottom


def read_boxes(path: Path) -> list[Box]:
    """Return the objects of a VOC file. Raises ValueError naming the file when it cannot be understood."""
    try:
        return [
            Box(
                name=(element.findtext("name") or "").strip(),
                **{
                    edge: int(float(element.findtext(f"bndbox/{tag}") or "nan"))
                    for edge, tag in zip(
                        ("left", "top", "right", "bottom"), ("xmin", "ymin", "xmax", "ymax"), strict=True
                    )
                },
            )
            for element in ElementTree.parse(path).getroot().iter("object")
        ]
    except (ElementTree.ParseError, LookupError, OverflowError, ValueError) as error:
        raise ValueError(f"{path} is not a Pascal VOC annotation: {error}") from error


def write_annotation(path: Path, *, image: str, width: int, height: int, boxes: Sequence[Box]) -> None:
    """Write a VOC file for the photograph named ``image`` of ``width`` x ``height`` pixels."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "folder").text = "JPEGImages"
    ElementTree.SubElement(root, "filename").text = image
    size = ElementTree.SubElement(root, "size")
    for tag, value in (("width", width), ("height", height), ("depth", 3)):
        ElementTree.SubElement(size, tag).text = str(value)
    for box in boxes:
        element = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(element, "name").text = box.name
        edges = ElementTree.SubElement(element, "bndbox")
        for tag, value in zip(
            ("xmin", "ymin", "xmax", "ymax"), (box.left, box.top, box.right, box.bottom), strict=True
        ):
            ElementTree.SubElement(edges, tag).text = str(value)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="unicode")


def write_records(folder: Path) -> pd.DataFrame:
    """Write ``folder``/records.csv, one row for each row of labels.csv and for each photograph without a row.

    Columns: ``id`` (the file's stem), ``file`` and ``annotation`` (relative to ``folder``, empty when absent),
    ``category`` (the label as given). labels.csv names a photograph by a number: 7 is BloodImage_00007.jpg.
    Raises ValueError when labels.csv lacks the columns Image and Category or holds a number that is none.
    """
    labels = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    if not {"Image", "Category"} <= set(labels.columns):
        raise ValueError(f"{folder / 'labels.csv'} needs the columns Image and Category, has {list(labels.columns)}")
    wrong = labels.loc[~labels["Image"].str.fullmatch(r"\s*\d+\s*"), "Image"]
    if not wrong.empty:
        raise ValueError(f"{folder / 'labels.csv'}: Image must be a number, got {wrong.iloc[0]!r}")
    labelled = pd.DataFrame(
        {"id": labels["Image"].map(lambda number: f"BloodImage_{int(number):05d}"), "category": labels["Category"]}
    )
    photographs = {path.stem: path.relative_to(folder).as_posix() for path in sorted((folder / "JPEGImages").iterdir())}
    annotations = {
        path.stem: path.relative_to(folder).as_posix() for path in sorted((folder / "Annotations").iterdir())
    }
    unlabelled = pd.DataFrame({"id": sorted(set(photographs) - set(labelled["id"])), "category": ""})
    records = pd.concat([labelled, unlabelled], ignore_index=True)
    records["category"] = [re.sub(r"\s+", " ", category) for category in records["category"]]
    records["file"] = records["id"].map(photographs).fillna("")
    records["annotation"] = records["id"].map(annotations).fillna("")
    records = records[RECORD_COLUMNS]
    write_csv(folder / "records.csv", records)
    return records


def read_records(folder: Path) -> pd.DataFrame:
    """Return ``folder``/records.csv with the columns RECORD_COLUMNS, all text, empty where absent."""
    return pd.read_csv(folder / "records.csv", dtype=str, keep_default_na=False)
