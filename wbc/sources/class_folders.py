"""Trees of class folders, with or without train and test folders above them, and the records made from them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from wbc.names import class_name

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".dib")
IMAGES = "images"  # the folder below data/raw
_PARTS = {"train": "train", "val": "validation", "test": "test"}  # by the beginning of a folder's name
_PART_FOLDER = re.compile(r"(train|val|test)(?:ing|id|idation)?(?:[-_ ]?[a-z0-9])?", re.IGNORECASE)  # testA, Test-2


class Selection(NamedTuple):
    """Which classes are taken, all if ``include`` is empty, and which are called otherwise; names as class_name's."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    rename: Mapping[str, str] = {}


def is_image(path: str) -> bool:
    """Tell whether a path with slashes names an image of a known format that is not hidden."""
    parts = PurePosixPath(path).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and PurePosixPath(path).suffix.lower() in SUFFIXES


def plan_records(paths: Sequence[str], *, selection: Selection) -> tuple[pd.DataFrame, list[str]]:
    """Return the records (wbc.manifest.RECORDS) of images and the path of each, both in the order of the paths.

    ``paths`` are those of images, with slashes, below one folder. Folders that hold everything are passed over. Then
    comes train, val, validation or test (any case, perhaps numbered), if there is such a folder, then the class; what
    lies deeper belongs to the id, which is the path without suffix. An image outside of any class has no category.
    Raises ValueError when ``selection`` names a class that is not there or leaves none.
    """
    ordered = sorted(paths)
    depth = _count_wrappers([PurePosixPath(path).parent.parts for path in ordered])
    placed = [_place(PurePosixPath(path).parent.parts[depth:]) for path in ordered]
    present = Counter(name for _, name in placed if name)
    _require_classes(selection, present)
    taken = [
        row
        for row, (_, name) in enumerate(placed)
        if name not in selection.exclude and (name in selection.include or not selection.include)
    ]
    if not taken:
        raise ValueError(f"no image is left: include and exclude rule out each of {_counted(present)}")
    below = ["/".join(PurePosixPath(ordered[row]).parts[depth:]) for row in taken]
    identifiers = _make_identifiers(below)
    names = [placed[row][1] for row in taken]
    records = pd.DataFrame(
        {
            "id": identifiers,
            "file": [f"{IMAGES}/{name}{_suffix(path)}" for name, path in zip(identifiers, below, strict=True)],
            "category": [selection.rename.get(name, name) for name in names],
            "annotation": "",
            "group": "",
            "part": [placed[row][0] for row in taken],
        }
    )
    return records, [ordered[row] for row in taken]


def describe_classes(records: pd.DataFrame) -> str:
    """Return how many images of which class the records hold, and in which part of an official split, as one line."""
    parts = " in " + _counted(Counter(records["part"])) if records["part"].any() else ""
    return f"{len(records)} images{parts}: {_counted(Counter(records['category'].replace('', 'without class')))}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'no part'} {count}" for name, count in sorted(counts.items()))


def _count_wrappers(folders: Sequence[tuple[str, ...]]) -> int:
    """Return how many folders from the top hold every image and are neither a class nor a part."""
    if not folders:
        raise ValueError(f"there is no image; the suffixes known are {' '.join(SUFFIXES)}")
    depth = 0
    while (
        all(len(parts) > depth + 1 for parts in folders)
        and len({parts[depth] for parts in folders}) == 1
        and not _PART_FOLDER.fullmatch(folders[0][depth])
    ):
        depth += 1
    return depth


def _place(folders: tuple[str, ...]) -> tuple[str, str]:
    """Return the part of the official split and the class of an image in nested ``folders``, empty where unknown."""
    if not folders:
        return "", ""
    if match := _PART_FOLDER.fullmatch(folders[0]):
        return _PARTS[match[1].lower()], class_name(folders[1]) if len(folders) > 1 else ""
    return "", class_name(folders[0])


def _require_classes(selection: Selection, present: Mapping[str, int]) -> None:
    for key, names in selection._asdict().items():
        unknown = sorted(set(names) - set(present))
        if unknown:
            raise ValueError(f"{key} names {', '.join(unknown)}, but there are only {_counted(present)}")


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _make_identifiers(paths: Sequence[str]) -> list[str]:
    """Return a unique name for each path: without suffix unless others differ in it alone, odd characters as _."""
    composed = [unicodedata.normalize("NFC", path[: len(path) - len(_suffix(path))]) for path in paths]
    stems = [re.sub(r"[^\w./() +=@~-]", "_", stem) for stem in composed]
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


def list_images(root: Path) -> list[str]:
    """Return the images below ``root`` as paths with slashes; say what else is there."""
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    others = [path for path in files if not is_image(path)]
    if others:
        print(f"{len(others)} files that are no images are left out, the first {others[0]}")
    return [path for path in files if is_image(path)]
