"""The measures of a classification, for many weightings of the same images at once, as a bootstrap needs them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

OVERALL = (
    *("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "kappa", "auroc", "average_precision"),
    *("log_loss", "brier_score", "expected_calibration_error"),
)
PER_CLASS = ("precision", "sensitivity", "specificity", "f1", "auroc", "average_precision")
INFLATED = ("expected_calibration_error",)  # by resampling: a repeated image is further from its bin's accuracy
BINS = 10  # of confidence, equally wide, for the expected calibration error

_LEAST = 5e-7  # probability, half of the last decimal that is kept: a single 0 is not to make log loss infinite
Floats = NDArray[np.float64]


def measure(
    truth: NDArray[np.integer], probabilities: Floats, *, classes: Sequence[str], weights: Floats
) -> pd.DataFrame:
    """Return a row of measures for each row of ``weights`` (weightings, images), how often each image counts.

    ``truth`` (images,) holds indices into ``classes``, ``probabilities`` is (images, classes); the prediction is the
    most probable class, the first of equals. The columns are OVERALL, then ``per_class.<CLASS>.<measure>`` for each of
    PER_CLASS:

    - ``precision`` = TP / (TP + FP); ``sensitivity`` = TP / (TP + FN); ``specificity`` = TN / (TN + FP);
      ``f1`` = 2 TP / (2 TP + FP + FN), with that class as positive
    - ``auroc``: chance that a member gets a higher probability than another image, ties counted half
    - ``average_precision``: mean of the precisions at each threshold, weighted by the gain in sensitivity
    - ``balanced_accuracy``, ``macro_f1``, ``auroc``, ``average_precision``: means over the classes; ``weighted_f1`` by
      support; ``mcc``: Matthews' coefficient for several classes (Gorodkin 2004); ``kappa`` (Cohen 1960)
    - ``log_loss``: mean of -ln of the true class's probability; ``brier_score``: mean squared distance to the truth,
      0 to 2 (Brier 1950); ``expected_calibration_error``: mean distance between confidence and accuracy in ten equally
      wide bins of confidence (Guo et al. 2017)

    What cannot be measured is nan: precision of a class that is never predicted, sensitivity, F1 and average precision
    of a class without members, specificity without other images, AUROC without either, everything without any weight.
    Means are over the classes that have members in ``truth``, and nan where a weighting leaves one of them out, for a
    mean over fewer is another measure. With members of one class only there is nothing to tell apart: mcc and kappa are
    nan. Where one class only is predicted, mcc is 0, its limit.
    """
    prediction, count = probabilities.argmax(axis=1), len(classes)
    cells = np.eye(count * count)[truth * count + prediction]
    counts = (weights @ cells).reshape(-1, count, count)  # (weightings, truth, prediction)
    members = np.eye(count, dtype=bool)[truth]
    by_class = _rates(counts)
    curves = [_areas(members[:, index], probabilities[:, index], weights=weights) for index in range(count)]
    by_class["auroc"], by_class["average_precision"] = (np.stack(areas, axis=1) for areas in zip(*curves, strict=True))
    support, known = counts.sum(axis=2), members.any(axis=0)
    table = {
        **_agreement(counts),
        "balanced_accuracy": mean_over_classes(by_class["sensitivity"], known=known),
        "macro_f1": mean_over_classes(by_class["f1"], known=known),
        "weighted_f1": _divide(np.nansum(by_class["f1"] * support, axis=1), support.sum(axis=1)),
        "auroc": mean_over_classes(by_class["auroc"], known=known),
        "average_precision": mean_over_classes(by_class["average_precision"], known=known),
        **_calibration(members, probabilities, right=prediction == truth, weights=weights),
    }
    columns = {name: table[name] for name in OVERALL}
    for index, name in enumerate(classes):
        columns |= {f"per_class.{name}.{kind}": by_class[kind][:, index] for kind in PER_CLASS}
    return pd.DataFrame(columns)


def confidence_bins(confidence: NDArray[np.floating]) -> NDArray[np.int_]:
    """Return the number (images,) of each confidence's bin, from 0 on; a bin holds its lower edge, the last one 1."""
    return np.minimum((confidence * BINS).astype(int), BINS - 1)


def _divide(part: Floats, whole: Floats) -> Floats:
    """Return the ratio, nan where ``whole`` is 0."""
    return np.divide(part, whole, out=np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan), where=whole != 0)


def mean_over_classes(values: Floats, *, known: NDArray[np.bool_]) -> Floats:
    """Return the mean (weightings,) of ``values`` (weightings, classes) over the ``known`` classes (classes,)."""
    return values[:, known].mean(axis=1)


def _rates(counts: Floats) -> dict[str, Floats]:
    """Return the measures of each class (weightings, classes) that follow from the confusion ``counts``."""
    hits = np.diagonal(counts, axis1=1, axis2=2)
    support, predicted = counts.sum(axis=2), counts.sum(axis=1)
    others = support.sum(axis=1, keepdims=True) - support
    return {
        "precision": _divide(hits, predicted),
        "sensitivity": _divide(hits, support),
        "specificity": _divide(others - (predicted - hits), others),
        "f1": np.where(support > 0, _divide(2 * hits, support + predicted), np.nan),
    }


def _agreement(counts: Floats) -> dict[str, Floats]:
    """Return accuracy, mcc and kappa (weightings,) of the confusion ``counts``."""
    total, right = counts.sum(axis=(1, 2)), np.trace(counts, axis1=1, axis2=2)
    support, predicted = counts.sum(axis=2), counts.sum(axis=1)
    chance = (support * predicted).sum(axis=1)
    spread = (total**2 - (support**2).sum(axis=1)) * (total**2 - (predicted**2).sum(axis=1))
    covariance = _divide(right * total - chance, np.sqrt(np.maximum(spread, 0)))
    several = (support > 0).sum(axis=1) > 1
    return {
        "accuracy": _divide(right, total),
        "mcc": np.where(several, np.nan_to_num(covariance), np.nan),
        "kappa": np.where(several, _divide(right * total - chance, total**2 - chance), np.nan),
    }


def _areas(member: NDArray[np.bool_], score: Floats, *, weights: Floats) -> tuple[Floats, Floats]:
    """Return the areas (weightings,) under the ROC and the precision-recall curve of one class against the rest."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))  # of each run of equal scores
    ranked = weights[:, order]
    inside, outside = (np.add.reduceat(ranked * chosen, starts, axis=1) for chosen in (member[order], ~member[order]))
    hits, alarms = inside.cumsum(axis=1), outside.cumsum(axis=1)
    members, others = hits[:, -1], alarms[:, -1]
    pairs = (inside * (others[:, None] - alarms + outside / 2)).sum(axis=1)
    precision = _divide(hits, hits + alarms)
    return _divide(pairs, members * others), _divide(np.nansum(inside * precision, axis=1), members)


def _calibration(
    members: NDArray[np.bool_], probabilities: Floats, *, right: NDArray[np.bool_], weights: Floats
) -> dict[str, Floats]:
    """Return how far probabilities are from what happens, each (weightings,)."""
    total = weights.sum(axis=1)
    confidence = probabilities.max(axis=1)
    bins = np.eye(BINS)[confidence_bins(confidence)]
    gaps = np.abs(weights @ (bins * (confidence - right)[:, None])).sum(axis=1)
    return {
        "log_loss": _divide(weights @ -np.log(np.maximum(probabilities[members], _LEAST)), total),
        "brier_score": _divide(weights @ ((probabilities - members) ** 2).sum(axis=1), total),
        "expected_calibration_error": _divide(gaps, total),
    }
