"""How well predicted probabilities agree with the true classes: the numbers of evaluation.json."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, confusion_matrix, matthews_corrcoef, roc_auc_score


def evaluate(
    truth: NDArray[np.integer], probabilities: NDArray[np.floating], *, classes: Sequence[str]
) -> dict[str, Any]:
    """Return the scores of a classifier whose prediction is the most probable class, the first of equals.

    ``truth`` (images,) holds indices into ``classes``, ``probabilities`` is (images, classes).

    Overall: ``images``; ``accuracy``; ``balanced_accuracy``, the mean sensitivity; ``macro_f1`` and ``weighted_f1``,
    the mean F1 of the classes, the latter by support; ``mcc``, Matthews' coefficient for several classes (Gorodkin
    2004); ``kappa`` (Cohen 1960); ``auroc``, the mean of the classes' areas under the one-vs-rest ROC curve.
    ``per_class`` holds for each name, with that class as positive:

    - ``precision`` = TP / (TP + FP)
    - ``sensitivity`` = TP / (TP + FN), also called recall
    - ``specificity`` = TN / (TN + FP)
    - ``f1`` = 2 TP / (2 TP + FP + FN)
    - ``auroc``: chance that a member gets a higher probability than another image, ties counted half
    - ``support``: number of members

    What cannot be measured is None, not 0: precision of a class that is never predicted, sensitivity and F1 of a class
    without members, specificity without other images, AUROC without either. Means leave those classes out. Where
    ``truth`` is of one class there is nothing to tell apart: mcc and kappa are None. Where only one class is predicted,
    mcc is 0, its limit. Raises ValueError for no images, other shapes, unknown indices and values that are not finite.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    _check(truth, probabilities, classes=classes)
    prediction = probabilities.argmax(axis=1)
    counts = confusion_matrix(truth, prediction, labels=range(len(classes)))
    per_class = {
        name: _class_scores(counts, index, member=truth == index, probability=probabilities[:, index])
        for index, name in enumerate(classes)
    }
    scores = list(per_class.values())
    tells_apart = sum(score["support"] > 0 for score in scores) > 1
    return {
        "images": len(truth),
        "accuracy": float((prediction == truth).mean()),
        "balanced_accuracy": _mean(score["sensitivity"] for score in scores),
        "macro_f1": _mean(score["f1"] for score in scores),
        "weighted_f1": sum(score["f1"] * score["support"] for score in scores if score["support"]) / len(truth),
        "mcc": float(matthews_corrcoef(truth, prediction)) if tells_apart else None,
        "kappa": float(cohen_kappa_score(truth, prediction)) if tells_apart else None,
        "auroc": _mean(score["auroc"] for score in scores),
        "per_class": per_class,
    }


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


def _class_scores(
    counts: NDArray[np.int_], index: int, *, member: NDArray[np.bool_], probability: NDArray[np.floating]
) -> dict[str, Any]:
    """Return the scores of class ``index``; ``counts`` is (truth, prediction)."""
    hits, support, predicted = int(counts[index, index]), int(counts[index].sum()), int(counts[:, index].sum())
    others = int(counts.sum()) - support
    return {
        "precision": _ratio(hits, predicted),
        "sensitivity": _ratio(hits, support),
        "specificity": _ratio(others - (predicted - hits), others),
        "f1": 2 * hits / (support + predicted) if support else None,
        "auroc": float(roc_auc_score(member, probability)) if support and others else None,
        "support": support,
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are defined, None if none is."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


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
