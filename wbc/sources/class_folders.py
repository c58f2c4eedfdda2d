"""Trees of class folders, with or without train and test folders above them, and the records made from them."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from wbc.base.names import readable
from wbc.sources.archive import DEEPEST
from wbc.sources.layout import count_wrappers, find_places

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".dib", ".webp", ".gif", ".jp2", ".pbm",
            ".pgm", ".ppm", ".pnm")  # fmt: skip
IMAGES = "images"  # the folder below data/raw


class Selection(NamedTuple):
    """Which classes are taken, all if ``include`` is empty, and which are called otherwise; names as class_name's."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    rename: Mapping[str, str] = {}


def is_image(path: str) -> bool:
    """Tell whether a path with slashes names an image of a known format that is not hidden."""
    parts = PurePosixPath(path).parts
    return not any(map(_is_hidden, parts)) and PurePosixPath(path).suffix.lower() in SUFFIXES


def plan_records(paths: Sequence[str], *, selection: Selection) -> tuple[pd.DataFrame, list[str]]:
    """Return the records (wbc.data.tables.RECORDS) of images and the path of each, both in the order of the paths.

    ``paths`` are those of images, with slashes, below one folder. Folders that hold everything are passed over; what
    the others mean is told by wbc.sources.layout. The id is the path without suffix, below what is passed over. An
    image outside of any class has no category.
    Raises ValueError when ``selection`` names a class that is not there or leaves none, or the layout cannot be told.
    """
    ordered = sorted(paths)
    if not ordered:
        raise ValueError(f"there is no image; the suffixes known are {' '.join(SUFFIXES)}")
    folders = [PurePosixPath(path).parent.parts for path in ordered]
    depth = count_wrappers(folders)
    placed = find_places([names[depth:] for names in folders], include=selection.include)
    present = Counter(place.category for place in placed if place.category)
    _require_classes(selection, present)
    taken = [
        row
        for row, place in enumerate(placed)
        if place.category not in selection.exclude and (place.category in selection.include or not selection.include)
    ]
    if not taken:
        raise ValueError(f"no image is left: include and exclude rule out each of {_counted(present)}")
    below = ["/".join(PurePosixPath(ordered[row]).parts[depth:]) for row in taken]
    identifiers = _make_identifiers(below)
    names = [placed[row].category for row in taken]
    records = pd.DataFrame(
        {
            "id": identifiers,
            "file": [f"{IMAGES}/{name}{_suffix(path)}" for name, path in zip(identifiers, below, strict=True)],
            "category": [selection.rename.get(name, name) for name in names],
            "annotation": "",
            "group": [placed[row].group for row in taken],
            "part": [placed[row].part for row in taken],
        }
    )
    return records, [ordered[row] for row in taken]


def describe_classes(records: pd.DataFrame) -> str:
    """Return how many images of which class the records hold, and in which part of an official split, as one line."""
    parts = " in " + _counted(Counter(records["part"])) if records["part"].any() else ""
    return f"{len(records)} images{parts}: {_counted(Counter(records['category'].replace('', 'without class')))}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'no part'} {count}" for name, count in sorted(counts.items()))


def _require_classes(selection: Selection, present: Mapping[str, int]) -> None:
    for key, names in selection._asdict().items():
        unknown = sorted(set(names) - set(present))
        if unknown:
            raise ValueError(f"{key} names {', '.join(unknown)}, but there are only {_counted(present)}")


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _make_identifiers(paths: Sequence[str]) -> list[str]:
    """Return a unique name for each path: without suffix unless others differ in it alone, odd characters as _.

    So is what makes a formula of it.
    """
    composed = [unicodedata.normalize("NFC", readable(path[: len(path) - len(_suffix(path))])) for path in paths]
    stems = [re.sub(r"[^\w./() +=@~-]|^[+=@-]", "_", stem) for stem in composed]
    shared = Counter(stem.lower() for stem in stems)
    taken: set[str] = set()
    identifiers = []
    for path, stem in zip(paths, stems, strict=True):
        name = base = f"{stem}{_suffix(path)}" if shared[stem.lower()] > 1 else stem
        number = 1
        while name.lower() in taken:  # a file system may not tell a from A
            number += 1
            name = f"{base.removesuffix(_suffix(path))}~{number}{_suffix(path)}"
        taken.add(name.lower())
        identifiers.append(name)
    return identifiers


class Listed(NamedTuple):
    """What lies below a folder, as sorted paths with slashes: images, and what is none, each said what it is."""

    images: list[str]
    others: list[str]  # files that are no images
    empty: list[str]  # folders without an image, however deep
    lost: list[str]  # links that lead nowhere, or back to where they are


def list_folder(root: Path, *, leave_out: Path | None = None) -> Listed:
    """Return what lies below ``root``, links followed, without hidden folders and the folder ``leave_out``.

    Raises OSError for a folder that cannot be read, ValueError for folders too deep in each other.
    """
    listed = Listed([], [], [], [])
    folders: set[str] = set()
    for place, names, files in os.walk(root, followlinks=True, onerror=_raise):
        here = PurePosixPath(Path(place).relative_to(root).as_posix())
        if len(here.parts) > DEEPEST:
            raise ValueError(f"{here.parts[0]} holds more than {DEEPEST} folders in each other")
        folders.add(str(here))
        listed.lost.extend(str(here / name) for name in names if _leads_back(Path(place, name)))
        names[:] = [name for name in names if not _is_hidden(name) and not _leads_back(Path(place, name))]
        names[:] = [name for name in names if leave_out is None or Path(place, name).resolve() != leave_out.resolve()]
        for name in files:
            kind = listed.images if is_image(str(here / name)) else listed.others
            (kind if Path(place, name).is_file() else listed.lost).append(str(here / name))
    used = {str(parent) for path in listed.images for parent in PurePosixPath(path).parents}
    listed.empty.extend(name for name in folders - used if str(PurePosixPath(name).parent) in used | {"."})
    return Listed(*map(sorted, listed))


def _raise(error: OSError) -> None:
    raise error


def _leads_back(path: Path) -> bool:
    """Tell whether a link leads to a folder that it lies in."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def list_images(root: Path, *, leave_out: Path | None = None) -> list[str]:
    """Return the images of `list_folder`; say in a line each what else is there."""
    listed = list_folder(root, leave_out=leave_out)
    for line in describe_left_out(listed):
        print(line)
    return listed.images


def describe_left_out(listed: Listed) -> list[str]:
    """Return a sentence for each sort of thing that is no image."""
    suffixes = Counter(_suffix(path) or readable(PurePosixPath(path).name) for path in listed.others)
    sentences = {
        "files that are no images are left out": listed.others,
        "folders hold no image of a known format": listed.empty,
        "links lead nowhere, or back to where they are": listed.lost,
    }
    lines = [f"{len(paths)} {text}, the first {readable(paths[0])}" for text, paths in sentences.items() if paths]
    return [f"{line} ({_counted(suffixes)})" if listed.others and line == lines[0] else line for line in lines]
