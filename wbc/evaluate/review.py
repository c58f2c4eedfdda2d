"""Abstention: predictions of too little confidence are left to a person.

This is selective classification by the probability of the prediction (Geifman & El-Yaniv 2017): the higher the
threshold, the fewer predictions are accepted (coverage) and the fewer of those are wrong (risk).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wbc.scores.predictions import Predicted
from wbc.scores.scores import score_proportions
from wbc.scores.wording import describe_measure


def coverage_and_error(predicted: Predicted) -> pd.DataFrame:
    """Return the columns threshold, coverage and error, a row for each distinct confidence, the greatest first.

    Predictions at least as confident as the threshold are accepted: ``coverage`` is their share of all, ``error`` the
    share of wrong ones among them.
    """
    counts = pd.DataFrame({"wrong": ~predicted.right}).groupby(predicted.confidence)["wrong"].agg(["size", "sum"])
    accepted = counts.sort_index(ascending=False).cumsum()
    return pd.DataFrame(
        {
            "threshold": accepted.index.to_numpy(),
            "coverage": (accepted["size"] / len(predicted.right)).to_numpy(),
            "error": (accepted["sum"] / accepted["size"]).to_numpy(),
        }
    )


def choose_threshold(predicted: Predicted, *, wished_error: float) -> float | None:
    """Return the least threshold whose accepted predictions are wrong in at most a share ``wished_error``.

    The least one accepts most. It is a confidence that occurs, 0 where all predictions together are good enough, and
    None where no confidence reaches the wish. It holds for the images it was found on, those of validation; how far it
    holds for others is to be measured, for it has no margin as the bound of Geifman & El-Yaniv has.
    """
    curve = coverage_and_error(predicted)
    reached = curve[curve["error"] <= wished_error]
    if reached.empty:
        return None
    return 0.0 if reached.index[-1] == curve.index[-1] else float(reached["threshold"].iloc[-1])


def needs_review(confidence: NDArray[np.floating], threshold: float | None) -> NDArray[np.bool_]:
    """Tell which predictions (images,) are below ``threshold``: all of them where it is None."""
    return confidence < (np.inf if threshold is None else threshold)


def score_review(
    test: Predicted, validation: Predicted, *, groups: Sequence[str], wished_error: float | None
) -> dict[str, Any] | None:
    """Return the threshold chosen on validation and what it comes to on the test part, of ``groups`` (images,).

    ``reviewed`` is the number of images below it, ``coverage`` the share of the others and ``error`` the share of wrong
    ones among those, with the intervals of wbc.scores.scores.score_proportions; ``validation_coverage`` and
    ``validation_error`` are those that it was chosen for. Errors are None where nothing is accepted. Without a
    ``wished_error`` there is nothing to score: None.
    """
    if wished_error is None:
        return None
    threshold = choose_threshold(validation, wished_error=wished_error)
    accepted, accepted_before = (~needs_review(part.confidence, threshold) for part in (test, validation))
    measured = score_proportions(
        {"coverage": (accepted, np.ones_like(accepted)), "error": (~test.right, accepted)}, groups=groups
    )
    return {
        "wished_error": wished_error,
        "threshold": threshold,
        "validation_coverage": float(accepted_before.mean()),
        "validation_error": float((~validation.right[accepted_before]).mean()) if accepted_before.any() else None,
        "reviewed": int((~accepted).sum()),
        **measured["coverage"].named("coverage"),
        **measured["error"].named("error"),
    }


def describe_review(review: dict[str, Any] | None) -> str:
    """Return `score_review` as a sentence; None stands for no wish."""
    if review is None:
        return "no prediction is marked for review: evaluate.wished_error is null"
    if review["threshold"] is None:
        wish = f"an error of {review['wished_error']:g} on validation"
        return f"no threshold of confidence reaches {wish}: every prediction is marked for review"
    error = "none is left" if review["error"] is None else f"{describe_measure(review, 'error')} among the others"
    return (
        f"{review['reviewed']} predictions with a confidence below {review['threshold']:.3f} are marked for review: "
        f"{describe_measure(review, 'coverage')}, {error}"
    )
