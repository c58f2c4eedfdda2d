"""Names of classes, images and groups, however people, spreadsheets and file systems spell them."""

import os
import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the check of the parameters starts sooner without pandas
    import pandas as pd


_HARMFUL = {  # what in a name is more than text to those who read tables and pages
    "a formula to spreadsheets": re.compile(r"^(?:[=@]|[+-](?![\d.,]*$))"),  # -1 is but a number
    "markup to HTML or Markdown": re.compile("[<>|]"),
}

_MISSPELT = 0.75  # of letters alike; less would take EOSINOPHIL for BASOPHIL


def readable(name: str) -> str:
    """Return a file name that can be printed and written: bytes that are no UTF-8 are taken for Latin-1."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("latin-1")
    return name


def tidy(name: str) -> str:
    """Return ``name`` with composed accents (NFC), without blanks at its ends, and with one space for blanks within."""
    return " ".join(unicodedata.normalize("NFC", readable(name)).split())


def class_name(name: str) -> str:
    """Return the name of a class as it is written everywhere: «Ly, atypical » is LY ATYPICAL.

    A comma would stand between the classes of several cells.
    """
    return tidy(name.replace(",", " ").upper())


def near_equal(names: Iterable[str]) -> list[list[str]]:
    """Return those ``names``, sorted, that differ from each other in case, accents, blanks, - and _ alone."""
    alike: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        alike.setdefault(_fold(name), []).append(name)
    return [spellings for spellings in alike.values() if len(spellings) > 1]


def describe_unknown(names: Iterable[str], *, classes: Iterable[str], optional: Iterable[str] = ()) -> str | None:
    """Return which of ``names`` no class of ``classes`` has, and the nearest one; None where all are known.

    The ``optional`` ones may be absent, unless a class is so like them that they must be misspelt.
    """
    known = sorted(classes)
    absent = {name for name in optional if not get_close_matches(name, known, n=1, cutoff=_MISSPELT)}
    unknown = sorted({*names} - {*known} - absent)
    if not unknown:
        return None
    nearest = get_close_matches(unknown[0], known, n=1, cutoff=0.0)
    return f"no class {', '.join(unknown)}; there are {', '.join(known)}; nearest: {''.join(nearest)}"


def describe_unknown_excluded(names: Iterable[str], *, classes: Iterable[str]) -> str | None:
    """Return the same of the ``names`` in clean.exclude, whose default, BASOPHIL, may be absent."""
    return describe_unknown(names, classes=classes, optional=["BASOPHIL"])


def require_two_classes(names: Iterable[str]) -> None:
    """Raise ValueError where there are fewer than two classes among ``names``, empty ones left aside."""
    classes = sorted({*names} - {""})
    if len(classes) < 2:
        found = f"only one class, {classes[0]}" if classes else "no class"
        raise ValueError(
            f"there is {found}, and a classifier needs two or more; class folders name them, see README.md"
        )


def require_harmless(records: "pd.DataFrame") -> None:
    """Raise ValueError for a class or group in records (wbc.data.tables.RECORDS) that is more than text in a table."""
    for kind, names in (("class", classes_of(records)), ("group", set(records["group"]))):
        for name, (harm, pattern) in product(sorted(names), _HARMFUL.items()):
            if match := pattern.search(name):
                raise ValueError(
                    f"the {kind} {name!r} is {harm}, by its {match[0]}: rename the folder, or say in "
                    "sources.folders.rename or data.groups what to call it"
                )


def _fold(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not (unicodedata.combining(letter) or letter in "-_ "))


def classes_of(records: "pd.DataFrame") -> set[str]:
    """Return the names of all classes in records (wbc.data.tables.RECORDS); an image may have several."""
    return {class_name(name) for category in records["category"] for name in category.split(",")}


def describe_near_equal(records: "pd.DataFrame") -> list[str]:
    """Return a sentence for each set of near-equal classes or groups in records (wbc.data.tables.RECORDS)."""
    return [
        f"note: {', '.join(map(repr, spellings))} are {len(spellings)} {kind}: write them alike if they are one"
        for kind, names in (("classes", classes_of(records)), ("groups", set(records["group"])))
        for spellings in near_equal(names)
    ]
