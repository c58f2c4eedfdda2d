"""The ways to choose the part of each image, by their names in params.yaml."""

import re
import warnings
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from wbc.base.draws import generator
from wbc.data.tables import SPLITS, UNUSED
from wbc.split.params import SplitParams

_FINEST = 20  # a share is met to the nearest fraction with at most this denominator


class SplitError(ValueError):
    """The split asked for cannot be made; the message says what to change."""


def _split_grouped(table: pd.DataFrame, params: SplitParams, seed: int) -> pd.Series:
    """Stratified group k-fold (scikit-learn's StratifiedGroupKFold).

    The test part is fold ``params.fold`` of ``params.folds``, or as many folds as make the share ``params.test``;
    validation is cut from the rest in the same way.
    """
    if params.folds is None:
        test = _draw(table, share=params.test_share, leave=2, seed=seed)
    else:
        test = _draw_fold(table, count=params.folds, fold=params.fold, seed=seed)
    return _cut_validation(table, test, share=params.validation / (1 - params.test_share), seed=seed)


def _split_random(table: pd.DataFrame, params: SplitParams, seed: int) -> pd.Series:
    """The same for single images: groups are ignored, as in many published studies."""
    return _split_grouped(table.assign(group=table["id"]), params, seed)


def _split_blocks(table: pd.DataFrame, params: SplitParams, seed: int) -> pd.Series:
    """Runs of each class in file order, so that neighbours, often of one slide, are mostly in the same part.

    A group goes where its first image lies.
    """
    ordered = table.loc[file_order(table)]
    runs = []
    for name, members in ordered.groupby("label"):
        random = generator(seed, "blocks", str(name))
        runs.append(pd.Series(_cut_runs(len(members), params=params, random=random), index=members.index))
    parts = pd.concat(runs).loc[ordered.index]
    return parts.groupby(ordered["group"]).transform("first").sort_index()


def _split_predefined(table: pd.DataFrame, params: SplitParams, seed: int) -> pd.Series:
    """The official parts of the source; validation is cut from the training part by group where there is none.

    The test part stays whole. A training or validation image whose group also has an image further on is unused.
    """
    _require_official_parts(table)
    rank = table["part"].map(SPLITS.index)
    parts = table["part"].where(rank == rank.groupby(table["group"]).transform("max"), UNUSED)
    if (parts == "validation").any():
        return parts
    training = table[parts == "train"]
    share = min(params.validation * len(table) / len(training), 0.5) if len(training) else 0.0
    nothing = np.zeros(len(training), dtype=bool)
    return parts.where(parts != "train", _cut_validation(training, nothing, share=share, seed=seed))


STRATEGIES: dict[str, Callable[[pd.DataFrame, SplitParams, int], pd.Series]] = {
    "grouped": _split_grouped,
    "random": _split_random,
    "blocks": _split_blocks,
    "predefined": _split_predefined,
    "leaky": _split_random,  # what makes it leak comes with the views, see wbc.augment.augmentation
}
UNGROUPED = ("random", "leaky")


def _cut_validation(table: pd.DataFrame, test: np.ndarray, *, share: float, seed: int) -> pd.Series:
    """Return the part of each row: those of the mask ``test``, about ``share`` of the rest for validation, training."""
    rest = table[~test]
    validation = rest.index[_draw(rest, share=share, leave=1, seed=seed)]
    parts = pd.Series("train", index=table.index)
    parts[table.index[test]] = "test"
    parts[validation] = "validation"
    return parts


def _free(table: pd.DataFrame) -> np.ndarray:
    """Return a mask of the rows that may leave the training part: those not in the only group of some class."""
    lonely = table["label"].map(count_groups(table)) == 1
    return ~table["group"].isin(table.loc[lonely, "group"]).to_numpy()


def _draw_fold(table: pd.DataFrame, *, count: int, fold: int, seed: int) -> np.ndarray:
    """Return a mask of the rows in one fold of ``count``."""
    free = _free(table)
    mask = np.zeros(len(table), dtype=bool)
    if free.any():
        mask[free] = _folds(table[free], count=count, seed=seed) == fold
    return mask


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
    with warnings.catch_warnings():  # a class smaller than the number of folds; `describe_split` judges the outcome
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for fold, (_, members) in enumerate(splitter.split(table, table["label"], table["group"])):
            folds[members] = fold
    return folds


def _draw(table: pd.DataFrame, *, share: float, leave: int, seed: int) -> np.ndarray:
    """Return a mask of about ``share`` of the rows: so many folds of so many.

    It is the first run of folds that takes a group of every class and leaves ``leave`` of them, or all but one of a
    class that has fewer; failing that, the run that comes nearest. The only group of a class is left.
    """
    free = _free(table)
    mask = np.zeros(len(table), dtype=bool)
    if not free.any():
        return mask
    drawn = table[free]
    groups, available = count_groups(table), count_groups(drawn)
    finest = min(_FINEST, max(2, int(available.max())))
    fraction = Fraction(share * (len(table) / len(drawn))).limit_denominator(finest)
    fraction = min(max(fraction, Fraction(1, finest)), Fraction(finest - 1, finest))
    folds = _folds(drawn, count=fraction.denominator, seed=seed)
    runs = [(folds - first) % fraction.denominator < fraction.numerator for first in range(fraction.denominator)]

    def faults(run: np.ndarray) -> tuple[int, int]:
        taken = count_groups(drawn[run]).reindex(groups.index, fill_value=0)
        left = groups - taken
        missed = (taken[available.index] == 0) | (left < np.minimum(leave, groups - 1))[available.index]
        return int((left == 0).sum()), int(missed.sum())

    mask[free] = min(runs, key=faults)
    return mask


def count_groups(table: pd.DataFrame) -> pd.Series:
    return table.groupby("label")["group"].nunique()


def file_order(table: pd.DataFrame) -> pd.Index:
    """Return the index of the rows by id, numbers in it by their value: image_9 comes before image_10."""
    keys = table["id"].map(
        lambda identifier: [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in _pieces(identifier)]
    )
    return pd.Index(sorted(table.index, key=lambda row: (keys[row], table["id"][row])))


def _pieces(identifier: str) -> list[str]:
    return [piece for piece in re.split(r"(\d+)", identifier) if piece]


def _cut_runs(count: int, *, params: SplitParams, random: np.random.Generator) -> list[str]:
    """Return the part of each of ``count`` images in file order: a run of test, one of validation after it."""
    if count == 1:
        return ["train"]
    if params.folds is None:
        size = min(max(round(params.test_share * count), 1), max(count - 2, 1))
    else:
        start, stop = (number * count // params.folds for number in (params.fold, params.fold + 1))
        size = stop - start
    following = min(max(round(params.validation * count), 1), count - size - 1)
    if params.folds is None:
        start = int(random.integers(count - size - following + 1))
    parts = np.full(count, "train", dtype=object)
    parts[start : start + size] = "test"
    parts[(start + size + np.arange(following)) % count] = "validation"  # after the last fold comes the first image
    return parts.tolist()


def _require_official_parts(table: pd.DataFrame) -> None:
    without = table.loc[table["part"] == "", "id"]
    otherwise = "Take -S split.strategy=grouped, or a source with a train and a test folder."
    if len(without) == len(table):
        raise SplitError(f"the source has no official split.\n{otherwise}")
    if not without.empty:
        raise SplitError(
            f"{len(without)} images belong to no part of the official split, the first {without.iloc[0]}.\n{otherwise}"
        )
    for part in ("train", "test"):
        if not (table["part"] == part).any():
            raise SplitError(f"the official split of the source has no {part} part.\n{otherwise}")
