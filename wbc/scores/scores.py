"""How well predicted probabilities agree with the true classes: the numbers of evaluation.json."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from wbc.scores.intervals import effective_size, wilson_interval
from wbc.scores.measures import OVERALL, PER_CLASS, measure
from wbc.scores.predictions import Predicted
from wbc.scores.uncertainty import Answered, interval_ends


class Proportion(NamedTuple):
    """A share of images, the ends of its interval, and of that for independent images; None where it has no trial."""

    value: float | None
    low: float | None
    high: float | None
    wilson_low: float | None
    wilson_high: float | None

    def named(self, metric: str) -> dict[str, float | None]:
        """Return the fields under the names of evaluation.json: ``<metric>``, ``<metric>_low`` and so on."""
        return {metric: self.value} | {f"{metric}_{field}": getattr(self, field) for field in self._fields[1:]}


def evaluate(
    truth: NDArray[np.integer], probabilities: NDArray[np.floating], *, classes: Sequence[str]
) -> dict[str, Any]:
    """Return the scores of a classifier whose prediction is the most probable class, the first of equals.

    ``truth`` (images,) holds indices into ``classes``, ``probabilities`` is (images, classes).
    ``images`` is their number, the others are those of wbc.scores.measures.measure; ``per_class`` holds them for each
    name, and its ``support``, the number of members. What cannot be measured is None, not 0. Raises ValueError for no
    images, other shapes, unknown indices and values that are not finite.
    """
    _check(truth, probabilities, classes=classes)
    numbers = probabilities.astype(np.float64)
    measured = measure(truth, numbers, classes=classes, weights=np.ones((1, len(truth)))).iloc[0]
    support = np.bincount(truth, minlength=len(classes))
    return {
        "images": len(truth),
        **{name: _defined(measured[name]) for name in OVERALL},
        "per_class": {
            name: {kind: _defined(measured[f"per_class.{name}.{kind}"]) for kind in PER_CLASS}
            | {"support": int(support[index])}
            for index, name in enumerate(classes)
        },
    }


def evaluate_with_intervals(
    truth: NDArray[np.integer], probabilities: NDArray[np.floating], *, groups: Sequence[str], classes: Sequence[str]
) -> dict[str, Any]:
    """Return what `evaluate` does, with the ends of a 95 % interval of each measure as ``<measure>_low`` and ``_high``.

    They are those of wbc.scores.uncertainty.interval_ends, in which one of the ``groups`` is one independent unit.
    ``groups`` is also their number. Proportions have ``<measure>_wilson_low`` and ``_wilson_high`` as well, which take
    images for independent. Where groups hold several images of a class, ``per_group`` scores the mean probabilities of
    the images of one class in one group as one. Raises what `evaluate` does.
    """
    numbers = probabilities.astype(np.float64)
    scores: dict[str, Any] = {"groups": len(set(groups)), **evaluate(truth, probabilities, classes=classes)}
    ends = interval_ends([[Answered(groups, truth, numbers)]], classes=classes)
    counts = confusion_matrix(truth, probabilities.argmax(axis=1), labels=range(len(classes)))
    per_class = {
        name: _with_ends(scores["per_class"][name], ends, prefix=f"per_class.{name}.")
        | _wilson(_proportions(counts, index))
        for index, name in enumerate(classes)
    }
    scores = _with_ends(scores, ends, prefix="") | _wilson({"accuracy": (np.trace(counts), counts.sum())})
    scores["per_class"] = per_class
    units = pd.DataFrame(numbers).groupby([np.asarray(groups, dtype=str), truth]).mean()
    if len(units) < len(truth):
        scores["per_group"] = evaluate(units.index.get_level_values(1).to_numpy(), units.to_numpy(), classes=classes)
    return scores


def _with_ends(scores: dict[str, Any], ends: pd.DataFrame, *, prefix: str) -> dict[str, Any]:
    """Return ``scores`` with low and high behind each measure that ``ends`` has."""
    result: dict[str, Any] = {}
    for name, value in scores.items():
        result[name] = value
        if prefix + name in ends:
            result |= {f"{name}_{end}": _defined(ends[prefix + name][end]) for end in ends.index}
    return result


def _proportions(counts: NDArray[np.int_], index: int) -> dict[str, tuple[int, int]]:
    """Return hits and trials of the proportions of one class in the confusion ``counts`` (truth, prediction)."""
    hits, support, predicted = counts[index, index], counts[index].sum(), counts[:, index].sum()
    others = counts.sum() - support
    return {
        "precision": (hits, predicted),
        "sensitivity": (hits, support),
        "specificity": (others - (predicted - hits), others),
    }


def _wilson(proportions: dict[str, tuple[int, int]]) -> dict[str, float | None]:
    ends: dict[str, float | None] = {}
    for name, (hits, trials) in proportions.items():
        interval = wilson_interval(int(hits), int(trials)) if trials else None
        ends[f"{name}_wilson_low"] = interval.low if interval else None
        ends[f"{name}_wilson_high"] = interval.high if interval else None
    return ends


def _defined(value: float) -> float | None:
    return round(float(value), 9) if np.isfinite(value) else None  # the last bits depend on the order of summation


def score_proportions(
    proportions: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]], *, groups: Sequence[str]
) -> dict[str, Proportion]:
    """Return for each name of ``proportions`` {name: (hits, trials)} the share of its trials that are hits.

    Hits and trials say which images (images,) are such; a hit that is no trial does not count. The interval is Wilson's
    on the effective number of images (wbc.scores.intervals.effective_size), beside the one that takes them for
    independent.
    """
    names = np.asarray(groups, dtype=str)
    return {
        name: _proportion(int((hit & chosen).sum()), groups=names[chosen])
        for name, (hit, chosen) in proportions.items()
    }


def _proportion(hits: int, *, groups: NDArray[np.str_]) -> Proportion:
    trials = len(groups)
    if trials == 0:
        return Proportion(None, None, None, None, None)
    size = effective_size(groups)
    wilson, grouped = wilson_interval(hits, trials), wilson_interval(hits / trials * size, size)
    return Proportion(wilson.value, grouped.low, grouped.high, wilson.low, wilson.high)


def score_by_flag(predicted: Predicted, *, flags: Sequence[str], groups: Sequence[str]) -> dict[str, Any]:
    """Return images, errors and accuracy with its intervals for each flag that occurs, and for ``unflagged`` images.

    ``flags`` (images,) are those of the manifest, several joined by ";".
    """
    right = predicted.right
    members = flag_members(flags)
    accuracies = score_proportions({name: (right, member) for name, member in members.items()}, groups=groups)
    return {
        name: {
            "images": int(member.sum()),
            "errors": int((member & ~right).sum()),
            **accuracies[name].named("accuracy"),
        }
        for name, member in members.items()
    }


def flag_members(flags: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Return which images (images,) are ``unflagged`` and which bear each flag that occurs, sorted, if any are."""
    borne = [set(names.split(";")) - {""} for names in flags]
    members = {"unflagged": np.array([not names for names in borne])}
    members |= {flag: np.array([flag in names for names in borne]) for flag in sorted(set().union(*borne))}
    return {name: member for name, member in members.items() if member.any()}


def _check(truth: NDArray[np.integer], probabilities: NDArray[np.floating], *, classes: Sequence[str]) -> None:
    if len(truth) == 0:
        raise ValueError("there is no image to evaluate")
    if probabilities.shape != (len(truth), len(classes)):
        raise ValueError(f"expected probabilities of shape {(len(truth), len(classes))}, got {probabilities.shape}")
    if not np.isin(truth, range(len(classes))).all():
        raise ValueError(f"the true classes must be indices from 0 to {len(classes) - 1}")
    if not np.isfinite(probabilities).all():
        raise ValueError("the model gives probabilities that are not finite: train it again with a lower learning_rate")
