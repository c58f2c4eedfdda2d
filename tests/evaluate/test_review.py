import numpy as np
import pytest

from wbc.evaluate.review import choose_threshold, coverage_and_error, describe_review, needs_review, score_review
from wbc.scores.predictions import Predicted


def predicted(confidence: list[float], right: list[bool]) -> Predicted:
    """Return predictions of two classes with that confidence, right where ``right`` says so."""
    sure = np.array(confidence)
    return Predicted(np.where(right, 0, 1), np.column_stack([sure, 1 - sure]))


VALIDATION = predicted([0.95, 0.9, 0.85, 0.8, 0.7, 0.6], [True, True, False, True, True, False])


def test_coverage_and_error_at_each_threshold_by_hand() -> None:
    curve = coverage_and_error(VALIDATION)
    assert curve["threshold"].tolist() == [0.95, 0.9, 0.85, 0.8, 0.7, 0.6]
    assert curve["coverage"].tolist() == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert curve["error"].tolist() == pytest.approx([0, 0, 1 / 3, 1 / 4, 1 / 5, 2 / 6])


def test_predictions_of_equal_confidence_are_accepted_together() -> None:
    curve = coverage_and_error(predicted([0.9, 0.9, 0.6], [True, False, True]))
    assert curve["threshold"].tolist() == [0.9, 0.6]
    assert curve["error"].tolist() == pytest.approx([1 / 2, 1 / 3])


@pytest.mark.parametrize(
    ("wished_error", "threshold"),
    [
        (0.0, 0.9),
        (0.19, 0.9),
        (0.2, 0.7),  # the error rises above the wish on the way, at 0.85, and falls again: the least threshold counts
        (0.25, 0.7),
        (2 / 6, 0.0),
        (0.9, 0.0),
    ],
)
def test_the_least_threshold_that_reaches_the_wish(wished_error: float, threshold: float) -> None:
    assert choose_threshold(VALIDATION, wished_error=wished_error) == threshold


def test_a_wish_out_of_reach_leaves_everything_to_review() -> None:
    hopeless = predicted([0.9, 0.8], [False, True])
    assert choose_threshold(hopeless, wished_error=0.4) is None
    assert needs_review(hopeless.confidence, None).tolist() == [True, True]
    review = score_review(VALIDATION, hopeless, groups=list("abcdef"), wished_error=0.4)
    assert review is not None
    assert (review["threshold"], review["reviewed"], review["coverage"], review["error"]) == (None, 6, 0.0, None)
    assert (review["validation_coverage"], review["validation_error"]) == (0.0, None)
    assert describe_review(review) == (
        "no threshold of confidence reaches an error of 0.4 on validation: every prediction is marked for review"
    )


def test_the_threshold_is_chosen_on_validation_and_measured_on_the_test_part() -> None:
    test = predicted([0.99, 0.91, 0.89, 0.6], [True, False, True, True])
    review = score_review(test, VALIDATION, groups=["1", "2", "3", "4"], wished_error=0.1)
    assert review is not None
    assert (review["wished_error"], review["threshold"]) == (0.1, 0.9)
    assert (review["validation_coverage"], review["validation_error"]) == (pytest.approx(1 / 3), 0.0)
    assert (review["reviewed"], review["coverage"], review["error"]) == (2, 0.5, 0.5)
    # Wilson's interval of 1 in 2 is 0.5 +- z / sqrt(2 + z^2) / 2, z = 1.96.
    assert (review["error_wilson_low"], review["error_wilson_high"]) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert (review["coverage_low"], review["coverage_high"]) == pytest.approx((0.1500, 0.8500), abs=1e-4)
    assert needs_review(test.confidence, 0.9).tolist() == [False, False, True, True]
    assert describe_review(review) == (
        "2 predictions with a confidence below 0.900 are marked for review: coverage 0.500 (0.150 to 0.850), "
        "error 0.500 (0.095 to 0.905) among the others"
    )


def test_a_test_part_that_is_never_sure_enough_leaves_nothing_to_measure() -> None:
    unsure = predicted([0.8, 0.6], [True, True])
    review = score_review(unsure, VALIDATION, groups=["1", "2"], wished_error=0.1)
    assert review is not None
    assert (review["reviewed"], review["coverage"], review["error"]) == (2, 0.0, None)
    assert describe_review(review) == (
        "2 predictions with a confidence below 0.900 are marked for review: coverage 0.000 (0.000 to 0.658), "
        "none is left"
    )


def test_without_a_wish_there_is_no_review() -> None:
    assert score_review(VALIDATION, VALIDATION, groups=list("abcdef"), wished_error=None) is None
    assert describe_review(None) == "no prediction is marked for review: evaluate.wished_error is null"
