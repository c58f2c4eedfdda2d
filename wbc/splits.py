"""Divides images into training, validation and test part: stratified by class, never across a group."""

import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from wbc.manifest import SPLIT, SPLITS, check_table
from wbc.params.split import SplitParams

_FINEST = 20  # a share is met to the nearest fraction with at most this denominator


class SplitError(ValueError):
    """A class is too small for the split asked for; the message says what to change."""


def split(manifest: pd.DataFrame, *, params: SplitParams, seed: int) -> pd.DataFrame:
    """Return the table id, label, group, split of every image in ``manifest``, in its order.

    Stratified group k-fold (scikit-learn's StratifiedGroupKFold): the test part is fold ``params.fold`` of
    ``params.folds``, or as many folds as make ``params.test``; validation is cut from the rest in the same way.
    The result does not depend on the order of the rows. Raises SplitError when a class cannot reach every part.
    """
    _require_groups(manifest)
    table = manifest[["id", "label", "group"]].sort_values("id", ignore_index=True)
    if params.folds is None:
        test = _draw(table, share=params.test, leave=2, seed=seed)
    else:
        test = _folds(table, count=params.folds, seed=seed) == params.fold
    rest = table[~test]
    validation = _draw(rest, share=params.validation / (1 - params.test_share), leave=1, seed=seed)
    table["split"] = "train"
    table.loc[test, "split"] = "test"
    table.loc[rest.index[validation], "split"] = "validation"
    _require_every_part(table)
    ordered = table.set_index("id").loc[manifest["id"]].reset_index()
    return check_table(ordered, SPLIT, where="the split")


def _folds(table: pd.DataFrame, *, count: int, seed: int) -> np.ndarray:
    """Return the fold, 0 to ``count`` - 1, of each row. Raises SplitError when no class has ``count`` images."""
    largest = table["label"].value_counts().head(1)
    if largest.iloc[0] < count:
        raise SplitError(
            f"{count} folds need a class of {count} images, but the largest, {largest.index[0]}, has "
            f"{largest.iloc[0]} to divide.\nTake fewer folds or other shares under `split`, or bring more images."
        )
    folds = np.empty(len(table), dtype=int)
    splitter = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class smaller than the number of folds; _require_every_part judges the outcome
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for fold, (_, members) in enumerate(splitter.split(table, table["label"], table["group"])):
            folds[members] = fold
    return folds


def _draw(table: pd.DataFrame, *, share: float, leave: int, seed: int) -> np.ndarray:
    """Return a mask of about ``share`` of the rows: so many folds of so many.

    It is the first run of folds that takes a group of every class and leaves ``leave`` of them, if there is one.
    """
    classes = _count_groups(table)
    finest = min(_FINEST, max(2, int(classes.max())))
    fraction = Fraction(share).limit_denominator(finest)
    fraction = min(max(fraction, Fraction(1, finest)), Fraction(finest - 1, finest))
    folds = _folds(table, count=fraction.denominator, seed=seed)
    masks = [(folds - first) % fraction.denominator < fraction.numerator for first in range(fraction.denominator)]
    for mask in masks:
        taken = _count_groups(table[mask]).reindex(classes.index, fill_value=0)
        if taken.min() >= 1 and (classes - taken).min() >= leave:
            return mask
    return masks[0]


def _count_groups(table: pd.DataFrame) -> pd.Series:
    return table.groupby("label")["group"].nunique()


def _require_groups(manifest: pd.DataFrame) -> None:
    groups = _count_groups(manifest)
    scarce = groups[groups < len(SPLITS)]
    if not scarce.empty:
        counts = ", ".join(f"{name} {count}" for name, count in scarce.items())
        raise SplitError(
            f"too few groups to reach train, validation and test: {counts} (3 are needed).\n"
            f"Leave the class out with -S 'clean.exclude=[{','.join(map(str, scarce.index))}]' or bring more images."
        )


def _require_every_part(table: pd.DataFrame) -> None:
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=list(SPLITS), fill_value=0)
    for name, row in counts.iterrows():
        empty = [part for part in SPLITS if row[part] == 0]
        if empty:
            raise SplitError(
                f"{name} ({int(row.sum())} images) does not reach {' and '.join(empty)}.\n"
                "Take another `seed`, larger shares or fewer folds under `split`, "
                f"or leave the class out with -S 'clean.exclude=[{name}]'."
            )


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """Return the number of images, groups and images per class in each part."""
    return {
        part: {
            "images": len(members),
            "groups": int(members["group"].nunique()),
            "classes": {name: int(count) for name, count in members["label"].value_counts().sort_index().items()},
        }
        for part, members in ((part, table[table["split"] == part]) for part in SPLITS)
    }
