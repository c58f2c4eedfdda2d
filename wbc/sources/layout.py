"""Which of the nested folders that images lie in names the part of a split, the class, and the patient or slide."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wbc.base.names import class_name, readable

Folders = tuple[str, ...]  # that an image lies in, from the top down
INCLUDE = "sources.folders.include"

_PARTS = {"train": "train", "val": "validation", "test": "test"}  # by the beginning of a name
_PART = re.compile(r"(train|val|test)(?:ing|id|idation)?(?:[-_ ]?[a-z0-9])?", re.IGNORECASE)  # testA, Test-2
# train_data, my_test_set: parts only if they hold the same folders, for TEST_SIMPLE may be a class
_LOOSE = re.compile(r"(?:.*[-_ ])?(train|val|test)(?:ing|id|idation)?(?:[-_ ].*|[a-z0-9])?", re.IGNORECASE)


class Place(NamedTuple):
    """What the folders of an image say of it; empty where unknown."""

    part: str
    category: str
    group: str  # the folder that stands above the class folders


def count_wrappers(folders: Sequence[Folders]) -> int:
    """Return how many folders from the top hold every image and are neither a class nor a part."""
    depth = 0
    while (
        all(len(names) > depth + 1 for names in folders)
        and len({names[depth] for names in folders}) == 1
        and not _PART.fullmatch(folders[0][depth])
    ):
        depth += 1
    return depth


def find_places(folders: Sequence[Folders], *, include: Sequence[str] = ()) -> list[Place]:
    """Return the place of each image.

    A folder of train, val or test, however numbered, names the part, others such as train_data if they hold the same
    folders. Then the first folder names the class, unless these supposed classes hold folders of the same names: then
    those are the classes that are not merely numbered, as patient_1 and patient_2 are. ``include`` are class names
    that decide it. Raises ValueError, which says what was seen, where it cannot be told.
    """
    parts, rest = _take_parts(folders, include=include)
    depth = count_wrappers(rest)
    rest = [names[depth:] for names in rest]
    level = _find_class_level(rest, include=include)
    return [
        Place(
            part,
            class_name(names[level]) if len(names) > level else "",
            names[0] if level and len(names) > level else "",
        )
        for part, names in zip(parts, rest, strict=True)
    ]


def _take_parts(folders: Sequence[Folders], *, include: Sequence[str]) -> tuple[list[str], list[Folders]]:
    """Return the part of each image, and its folders without the one that names it."""
    level = _find_part_level(folders)
    if level is not None:
        unusual = sorted(name for name in _names(folders, level) if not _PART.fullmatch(name))
        for name in unusual:
            print(f"the folder {readable(name)} is taken as {_part(name)}")
        return [_part(names[level]) for names in folders], [names[:level] + names[level + 1 :] for names in folders]
    deeper = {names[:place] for names in folders if (place := _first_part(names))}
    if deeper and not include:
        seen = readable("/".join(min(deeper)))
        raise ValueError(
            f"the folder {seen} holds parts of a split, other images do not lie in such parts: set "
            f"sources.folders.path to {seen} or to another folder of one set, or name the classes in {INCLUDE}"
        )
    tops = _first_parts(folders)
    parts = [tops.get(names[0], "") if names else "" for names in folders]
    return parts, [names[1:] if part else names for part, names in zip(parts, folders, strict=True)]


def _find_part_level(folders: Sequence[Folders]) -> int | None:
    """Return the level, 0 at the top, at which every image lies in a folder named like a part, two parts at least."""
    for level in range(min(map(len, folders))):
        names = {places[level] for places in folders}
        likely = all(_LOOSE.fullmatch(name) for name in names) and len({_part(name) for name in names}) > 1
        if likely and (level or _recurring(folders, below=0, level=1)):
            return level
    return None


def _first_part(names: Folders) -> int:
    """Return at which level the first folder with the name of a part stands, 0 also for none."""
    return next((level for level, name in enumerate(names) if _PART.fullmatch(name)), 0)


def _first_parts(folders: Sequence[Folders]) -> dict[str, str]:
    """Return the part of each top folder that is one. Raises ValueError for one beside them that has no part's name."""
    below: dict[str, set[str]] = {}  # the folders in each top folder
    for names in folders:
        below.setdefault(names[0] if names else "", set()).update(names[1:2])
    parts = {name: _part(name) for name in below if _PART.fullmatch(name)}
    inside = set().union(*(below[name] for name in parts))
    for name in sorted(set(below) - set(parts)):
        shared = below[name] & inside
        if shared and not _LOOSE.fullmatch(name):
            raise ValueError(
                f"the folder {name} holds the same folders as {', '.join(sorted(parts))}, {_few(shared)}: give it the "
                "name of a part, train, validation or test, or take it away"
            )
        if shared:
            parts[name] = _part(name)
            print(f"the folder {name} is taken as {parts[name]}: it holds the same folders, {_few(shared)}")
    return parts


def _part(name: str) -> str:
    match = _LOOSE.fullmatch(name)
    return _PARTS[match[1].lower()] if match else ""


def _find_class_level(folders: Sequence[Folders], *, include: Sequence[str]) -> int:
    """Return the level of the class folders, 0 at the top."""
    levels = range(max(map(len, folders), default=0))
    named = [
        level
        for level in levels
        if include and set(include) <= {class_name(names[level]) for names in folders if len(names) > level}
    ]
    if len(named) == 1:
        return named[0]
    candidates = [0, *(level for level in levels[1:] if len(_recurring(folders, below=0, level=level)) > 1)]
    if len(candidates) == 1:
        return 0
    likely = [level for level in candidates if not _are_numbered(_names(folders, level))]
    if len(likely) != 1:
        recurring = _recurring(folders, below=0, level=candidates[1])
        raise ValueError(
            f"the folders {_few(_names(folders, 0))} hold folders of the same names, {_few(recurring)}: which are the "
            f"classes? Name them in {INCLUDE}; folders above them are taken as patients or slides"
        )
    if likely[0]:
        print(f"{_few(_names(folders, 0))} are taken as groups, {_few(_names(folders, likely[0]))} as classes")
    return likely[0]


def _names(folders: Sequence[Folders], level: int) -> set[str]:
    return {names[level] for names in folders if len(names) > level}


def _recurring(folders: Sequence[Folders], *, below: int, level: int) -> set[str]:
    """Return the names at ``level`` that occur in more than one folder of the level ``below``."""
    pairs = {(names[below], names[level]) for names in folders if len(names) > level}
    return {name for name, owners in Counter(name for _, name in pairs).items() if owners > 1}


def _are_numbered(names: Iterable[str]) -> bool:
    """Tell whether several names are the same but for numbers, as patient_1 and patient_2 are."""
    return len({re.sub(r"\d+", "#", name) for name in names}) == 1 < len(set(names))


def _few(names: Iterable[str]) -> str:
    """Return some of the names, sorted."""
    ordered = sorted(map(readable, names))
    return ", ".join(ordered[:4]) + (f" and {len(ordered) - 4} more" if len(ordered) > 4 else "")
