"""How well predicted probabilities agree with the true classes: the numbers of evaluation.json."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from wbc.intervals import bootstrap, percentile_ends, wilson_interval
from wbc.measures import OVERALL, PER_CLASS, measure


def evaluate(
    truth: NDArray[np.integer], probabilities: NDArray[np.floating], *, classes: Sequence[str]
) -> dict[str, Any]:
    """Return the scores of a classifier whose prediction is the most probable class, the first of equals.

    ``truth`` (images,) holds indices into ``classes``, ``probabilities`` is (images, classes).
    ``images`` is their number, the others are those of wbc.measures.measure; ``per_class`` holds them for each name,
    and its ``support``, the number of members. What cannot be measured is None, not 0.
    Raises ValueError for no images, other shapes, unknown indices and values that are not finite.
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

    They are those of a bootstrap of whole ``groups`` (wbc.intervals.bootstrap). ``groups`` is also their number.
    Proportions have ``<measure>_wilson_low`` and ``_wilson_high`` as well, which are of use where the bootstrap is not,
    at 0 and at 1, but take images for independent. Where groups hold several images of a class, ``per_group`` scores
    the mean probabilities of the images of one class in one group as one. Raises what `evaluate` does.
    """
    numbers = probabilities.astype(np.float64)
    scores: dict[str, Any] = {"groups": len(set(groups)), **evaluate(truth, probabilities, classes=classes)}

    def statistic(weights: NDArray[np.float64]) -> pd.DataFrame:
        return measure(truth, numbers, classes=classes, weights=weights)

    ends = percentile_ends(bootstrap(statistic, groups=groups))
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


def describe(scores: dict[str, Any], metric: str) -> str:
    """Return one measure of `evaluate_with_intervals` as people read it: "macro F1 0.908 (0.815 to 0.970)"."""
    name = metric.replace("_", " ").replace("f1", "F1")
    value, low, high = (scores[key] for key in (metric, f"{metric}_low", f"{metric}_high"))
    return f"{name} not defined" if value is None else f"{name} {value:.3f} ({low:.3f} to {high:.3f})"


def count_confusion(
    truth: NDArray[np.integer], probabilities: NDArray[np.floating], *, classes: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Return {truth: {prediction: images}} for the arguments of `evaluate`."""
    counts = confusion_matrix(truth, probabilities.argmax(axis=1), labels=range(len(classes)))
    return {name: dict(zip(classes, map(int, row), strict=True)) for name, row in zip(classes, counts, strict=True)}


def _check(truth: NDArray[np.integer], probabilities: NDArray[np.floating], *, classes: Sequence[str]) -> None:
    if len(truth) == 0:
        raise ValueError("there is no image to evaluate")
    if probabilities.shape != (len(truth), len(classes)):
        raise ValueError(f"expected probabilities of shape {(len(truth), len(classes))}, got {probabilities.shape}")
    if not np.isin(truth, range(len(classes))).all():
        raise ValueError(f"the true classes must be indices from 0 to {len(classes) - 1}")
    if not np.isfinite(probabilities).all():
        raise ValueError("the model gives probabilities that are not finite: train it again with a lower learning_rate")


def predictions_table(
    identifiers: Sequence[str],
    groups: Sequence[str],
    truth: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    classes: Sequence[str],
) -> pd.DataFrame:
    """Return one row for each image: id, group, truth, prediction, and probability_<CLASS> for each class.

    ``truth`` (images,) holds indices into ``classes``, ``probabilities`` is (images, classes); truth and prediction are
    class names. Probabilities have six decimals, so that the last bits of a computation do not show.
    """
    names = np.asarray(classes)
    rounded = np.asarray(probabilities, dtype=np.float64).round(6)
    return pd.DataFrame(
        {
            "id": identifiers,
            "group": groups,
            "truth": names[truth],
            "prediction": names[np.argmax(probabilities, axis=1)],
            **{f"probability_{name}": rounded[:, index] for index, name in enumerate(classes)},
        }
    )
