"""Names of classes, images and groups, however people, spreadsheets and file systems spell them."""

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the check of the parameters starts sooner without pandas
    import pandas as pd


def tidy(name: str) -> str:
    """Return ``name`` with composed accents (NFC), without blanks at its ends, and with one space for blanks within."""
    return " ".join(unicodedata.normalize("NFC", name).split())


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


def _fold(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not (unicodedata.combining(letter) or letter in "-_ "))


def describe_near_equal(records: "pd.DataFrame") -> list[str]:
    """Return a sentence for each set of near-equal classes or groups in records (wbc.manifest.RECORDS)."""
    classes = {class_name(name) for category in records["category"] for name in category.split(",")}
    return [
        f"note: {', '.join(map(repr, spellings))} are {len(spellings)} {kind}: write them alike if they are one"
        for kind, names in (("classes", classes), ("groups", set(records["group"])))
        for spellings in near_equal(names)
    ]
