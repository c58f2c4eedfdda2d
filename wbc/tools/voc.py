"""Annotations in the form of Pascal VOC: the boxes of a photograph's objects."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
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
