"""Compares two models on the same images: how far apart they are, and whether chance would do."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from wbc.data.tables import PREDICTIONS, load_table
from wbc.scores.intervals import bootstrap, percentile_ends
from wbc.scores.uncertainty import Answered, Seeds, group_names, weigher

PREFIX = "probability_"


class Predictions(NamedTuple):
    """What one model made of some images: the columns of metrics/predictions.csv."""

    ids: list[str]
    groups: list[str]
    truth: NDArray[np.int_]  # (images,), indices into classes
    probabilities: NDArray[np.float64]  # (images, classes)
    classes: list[str]


class Difference(NamedTuple):
    """By how much the second model is above the first, with the ends of a 95 % interval and a two-sided p-value."""

    value: float
    low: float
    high: float
    p_value: float


def read_predictions(source: Path | str) -> Predictions:
    """Return the predictions in the CSV file ``source``, or in its text. Raises ValueError for columns that lack."""
    table = load_table(source if isinstance(source, Path) else StringIO(source), PREDICTIONS)
    classes = [name.removeprefix(PREFIX) for name in table.columns if name.startswith(PREFIX)]
    missing = {"id", "group", "truth"} - set(table.columns)
    if missing or not classes:
        raise ValueError(f"these are no predictions of a model, {', '.join(sorted(missing)) or PREFIX} is missing")
    truth = pd.Categorical(table["truth"], classes).codes.astype(int)
    probabilities = table[[PREFIX + name for name in classes]].to_numpy(dtype=np.float64)
    return Predictions(table["id"].tolist(), table["group"].tolist(), truth, probabilities, classes)


def paired_differences(
    first: Predictions, second: Predictions, *, metrics: Sequence[str], seed: int = 0
) -> dict[str, Difference]:
    """Return for each of ``metrics`` (columns of wbc.scores.measures.measure) how far ``second`` is above ``first``.

    As `seed_differences` of one model each. Raises ValueError unless both are of the same images, groups and classes.
    """
    check_same_images(first, second)
    one, other = ([[answered(model)]] for model in (first, second))
    return seed_differences(one, other, classes=first.classes, metrics=metrics, seed=seed)


def seed_differences(
    first: Seeds, second: Seeds, *, classes: Sequence[str], metrics: Sequence[str], seed: int = 0
) -> dict[str, Difference]:
    """Return by how much the mean over seeds of ``second`` is above that of ``first``, for each of ``metrics``.

    ``metrics`` are columns of wbc.scores.uncertainty.mean_measures. Both are measured on the same resamples of whole
    groups (wbc.scores.intervals.bootstrap), a group being the same in every seed. The p-value is twice the share of
    resamples on the rarer side of 0, ties counted on both (Davison & Hinkley 1997, section 4.4.1).
    """
    names = group_names([*first, *second])
    weigh, weigh_other = (weigher(seeds, classes=classes, names=names) for seeds in (first, second))

    def statistic(weights: NDArray[np.float64]) -> pd.DataFrame:
        return (weigh_other(weights) - weigh(weights))[list(metrics)]

    values = statistic(np.ones((1, len(names)))).iloc[0]
    resampled = bootstrap(statistic, groups=names, seed=seed)
    ends = percentile_ends(resampled)
    return {
        name: Difference(
            float(values[name]), float(ends[name]["low"]), float(ends[name]["high"]), _p_value(resampled[name].dropna())
        )
        for name in metrics
    }


def answered(predictions: Predictions) -> Answered:
    """Return ``predictions`` as wbc.scores.uncertainty takes them."""
    return Answered(predictions.groups, predictions.truth, predictions.probabilities)


def check_same_images(first: Predictions, second: Predictions) -> None:
    """Raise ValueError unless both predictions are of the same images in the same order, groups and classes."""
    if first.classes != second.classes:
        raise ValueError(f"the models know other classes: {', '.join(first.classes)}; {', '.join(second.classes)}")
    if first.ids != second.ids:
        common = len(set(first.ids) & set(second.ids))
        raise ValueError(
            f"the models were tested on other images: {len(first.ids)} and {len(second.ids)}, {common} of them common"
        )
    if first.groups != second.groups or not np.array_equal(first.truth, second.truth):
        raise ValueError("the models were tested on the same images, but with other labels or groups")


def mcnemar(first: Predictions, second: Predictions) -> float:
    """Return the two-sided p-value of McNemar's exact test (McNemar 1947) that both are right equally often.

    It takes images for independent. Raises ValueError unless both are of the same images, groups and classes.
    """
    check_same_images(first, second)
    right, also_right = (model.probabilities.argmax(axis=1) == model.truth for model in (first, second))
    gained, lost = int((also_right & ~right).sum()), int((right & ~also_right).sum())
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def _p_value(differences: pd.Series) -> float:
    rarer = min((differences <= 0).sum(), (differences >= 0).sum())
    return min(1.0, 2 * (1 + rarer) / (1 + len(differences)))
