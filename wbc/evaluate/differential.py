"""The differential count: which share of the cells each class has, by the truth and by the model."""

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from wbc.scores.intervals import bootstrap, percentile_ends
from wbc.scores.predictions import Predicted


def differential_count(predicted: Predicted, *, groups: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
    """Return for each of ``classes`` its ``true`` and ``predicted`` share of the images and their ``difference``.

    The difference, predicted less true, has the ends of a 95 % interval from a bootstrap of whole ``groups`` (images,).
    Errors that cancel out do not show in it.
    """
    truth, prediction = predicted.truth, predicted.prediction
    one_hot = np.eye(len(classes))
    surplus = one_hot[prediction] - one_hot[truth]

    def statistic(weights: NDArray[np.float64]) -> pd.DataFrame:
        return pd.DataFrame(weights @ surplus / weights.sum(axis=1, keepdims=True), columns=list(classes))

    ends = percentile_ends(bootstrap(statistic, groups=groups))
    return {
        name: {
            "true": float((truth == index).mean()),
            "predicted": float((prediction == index).mean()),
            "difference": float(surplus[:, index].mean()),
            "difference_low": float(ends[name]["low"]),
            "difference_high": float(ends[name]["high"]),
        }
        for index, name in enumerate(classes)
    }


def counting_limits(percent: int, *, cells: int = 100) -> tuple[int, int]:
    """Return the 95 % limits, in per cent, of what a count of ``cells`` with ``percent`` of one class stands for.

    They are the exact binomial ones (Clopper & Pearson 1934), rounded outwards to whole per cent: what chance alone
    allows where cells are drawn independently and none is mistaken.
    """
    ends = stats.binomtest(round(percent * cells / 100), cells).proportion_ci(0.95, method="exact")
    return floor(100 * ends.low), ceil(100 * ends.high)
