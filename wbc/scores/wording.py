"""Scores as people read them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from wbc.scores.intervals import Interval


def read_interval(scores: Mapping[str, Any], metric: str) -> Interval | None:
    """Return one measure of `evaluate_with_intervals` with the interval to show, None where it is not defined.

    Files of before the present intervals have some of no width, at a value of 1: then it is Wilson's if there is one.
    Else the ends are nan, as in files that are older than the intervals.
    """
    value = scores.get(metric)
    if value is None:
        return None
    for kind in ("", "_wilson"):
        low, high = (scores.get(f"{metric}{kind}_{end}") for end in ("low", "high"))
        if low is not None and high is not None and low < high:
            return Interval(value, low, high)
    return Interval(value, np.nan, np.nan)


def format_measure(scores: Mapping[str, Any], metric: str, *, digits: int = 3) -> str:
    """Return `read_interval` as people read it: "0.908 (0.815 to 0.970)", "-" where it is not defined."""
    interval = read_interval(scores, metric)
    if interval is None:
        return "-"
    ends = f" ({interval.low:.{digits}f} to {interval.high:.{digits}f})" if np.isfinite(interval.low) else ""
    return f"{interval.value:.{digits}f}{ends}"


def describe_measure(scores: Mapping[str, Any], metric: str) -> str:
    """Return one measure with its name: "macro F1 0.908 (0.815 to 0.970)"."""
    return f"{metric.replace('_', ' ').replace('f1', 'F1').replace('brier', 'Brier')} {format_measure(scores, metric)}"
