"""The page metrics/evaluation.md: the scores of the test part as a laboratory reads them."""

from collections.abc import Iterator, Mapping
from typing import Any

from wbc.evaluate.differential import counting_limits
from wbc.evaluate.review import describe_review
from wbc.scores.wording import describe_measure, format_measure
from wbc.tools.markdown import render_table

PER_CLASS = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "PPV": "precision",
    "F1": "f1",
    "AUROC": "auroc",
}
_OVERALL = ("accuracy", "balanced_accuracy", "macro_f1")


def render_evaluation(scores: Mapping[str, Any]) -> str:
    """Return metrics/evaluation.json as a page in Markdown.

    ``scores`` are those of wbc.scores.scores.evaluate_with_intervals with ``differential``, ``by_flag`` and ``review``
    beside them (wbc.evaluate.differential.differential_count, wbc.scores.scores.score_by_flag,
    wbc.evaluate.review.score_review).
    """
    return "\n".join(_paragraphs(scores))


def class_rows(per_class: Mapping[str, Mapping[str, Any]]) -> Iterator[list[str]]:
    """Yield name, number of images and PER_CLASS, each with its interval, of each class of evaluation.json."""
    for name, scores in per_class.items():
        yield [
            name,
            str(scores["support"]),
            *(format_measure(scores, metric, digits=2) for metric in PER_CLASS.values()),
        ]


def _paragraphs(scores: Mapping[str, Any]) -> Iterator[str]:
    yield f"# The test part: {scores['images']} images in {scores['groups']} groups\n"
    yield (
        "In brackets 95 % intervals, in which a group, images that are known to show the same cell, field or patient, "
        "is one image: Wilson's for proportions, of resampled groups for the others, with imaginary images that "
        "keep a class without an error from looking certain. PPV, the share of right ones among the cells called so, "
        "holds for the mix of cells of this test part. Not for diagnosis.\n"
    )
    yield render_table(["class", "n", *PER_CLASS], class_rows(scores["per_class"]))
    yield f"Overall: {_list(scores, *_OVERALL)}.\n"
    yield f"Calibration: {_list(scores, 'expected_calibration_error', 'brier_score', 'log_loss')}.\n"
    if "per_group" in scores:
        votes = scores["per_group"]
        yield f"Images of one group and class as one, {votes['images']} in all: {_list(votes, *_OVERALL)}.\n"
    yield f"Review: {describe_review(scores['review'])}.\n"
    yield "## Differential count\n"
    yield (
        "Per cent of the test part, which is composed as the data set is, not as a patient's blood. Errors that cancel "
        "out do not show. The last column is what chance alone allows a count of 100 cells (exact binomial limits, "
        "Clopper & Pearson 1934).\n"
    )
    header = ["class", "true", "predicted", "difference", "100 cells of the true share"]
    yield render_table(header, (_differential(name, shares) for name, shares in scores["differential"].items()))
    yield "## Flagged photographs\n"
    flags = scores["by_flag"].items()
    rows = (
        [name, str(of["images"]), str(of["errors"]), format_measure(of, "accuracy", digits=2)] for name, of in flags
    )
    yield render_table(["flag", "images", "errors", "accuracy"], rows)


def _list(scores: Mapping[str, Any], *metrics: str) -> str:
    return "; ".join(describe_measure(scores, metric) for metric in metrics)


def _differential(name: str, shares: Mapping[str, float]) -> list[str]:
    low, high = counting_limits(round(100 * shares["true"]))
    difference, least, most = (f"{100 * shares[f'difference{end}']:+.1f}" for end in ("", "_low", "_high"))
    ends = f" ({least} to {most})" if least != most else ""
    true, predicted = (f"{100 * shares[key]:.1f}" for key in ("true", "predicted"))
    return [name, true, predicted, f"{difference}{ends}", f"{low} to {high}"]
