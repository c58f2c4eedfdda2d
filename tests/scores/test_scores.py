import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from wbc.base.files import write_csv
from wbc.scores.predictions import Predicted, count_confusion, predictions_table
from wbc.scores.scores import (
    Proportion,
    evaluate,
    evaluate_with_intervals,
    flag_members,
    score_by_flag,
    score_proportions,
)
from wbc.scores.wording import describe_measure, format_measure, read_interval

CLASSES = ["EOSINOPHIL", "LYMPHOCYTE", "NEUTROPHIL"]


def certain(counts: list[list[int]]) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Return truth and one-hot probabilities with the confusion ``counts`` (truth, prediction)."""
    table = np.array(counts)
    truth, prediction = np.nonzero(table)
    repeats = table[truth, prediction]
    return np.repeat(truth, repeats), np.eye(len(table))[np.repeat(prediction, repeats)]


def test_a_confusion_of_three_classes_computed_by_hand() -> None:
    # Members 6, 6, 8; predicted 7, 5, 8; 15 of 20 right.
    truth, probabilities = certain([[5, 1, 0], [2, 3, 1], [0, 1, 7]])
    scores = evaluate(truth, probabilities, classes=CLASSES)
    assert list(scores) == [
        *("images", "accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "kappa", "auroc"),
        *("average_precision", "log_loss", "brier_score", "expected_calibration_error", "per_class"),
    ]
    assert scores["images"] == 20
    assert scores["accuracy"] == 0.75
    assert scores["balanced_accuracy"] == pytest.approx(53 / 72)
    assert scores["macro_f1"] == pytest.approx((10 / 13 + 6 / 11 + 7 / 8) / 3)
    assert scores["weighted_f1"] == pytest.approx((6 * 10 / 13 + 6 * 6 / 11 + 8 * 7 / 8) / 20)
    assert scores["kappa"] == pytest.approx((0.75 - 0.34) / (1 - 0.34))
    assert scores["mcc"] == pytest.approx((15 * 20 - 136) / math.sqrt((400 - 138) * (400 - 136)))
    assert scores["per_class"]["EOSINOPHIL"] == pytest.approx(
        {
            "precision": 5 / 7,
            "sensitivity": 5 / 6,
            "specificity": 12 / 14,
            "f1": 10 / 13,
            "auroc": 71 / 84,
            "average_precision": 5 / 6 * 5 / 7 + 1 / 6 * 6 / 20,
            "support": 6,
        }
    )
    assert scores["per_class"]["NEUTROPHIL"] == pytest.approx(
        {
            **dict.fromkeys(["precision", "sensitivity", "f1"], 7 / 8),
            "specificity": 11 / 12,
            "auroc": 43 / 48,
            "average_precision": 7 / 8 * 7 / 8 + 1 / 8 * 8 / 20,
            "support": 8,
        }
    )
    assert count_confusion(truth, probabilities, classes=CLASSES) == {
        "EOSINOPHIL": {"EOSINOPHIL": 5, "LYMPHOCYTE": 1, "NEUTROPHIL": 0},
        "LYMPHOCYTE": {"EOSINOPHIL": 2, "LYMPHOCYTE": 3, "NEUTROPHIL": 1},
        "NEUTROPHIL": {"EOSINOPHIL": 0, "LYMPHOCYTE": 1, "NEUTROPHIL": 7},
    }


def test_the_textbook_example_of_kappa_with_two_readers() -> None:
    # 20 times both yes, 15 times both no, 5 and 10 times one of them: observed 0.7, by chance 0.5.
    scores = evaluate(*certain([[20, 5], [10, 15]]), classes=["YES", "NO"])
    assert scores["kappa"] == pytest.approx(0.4)
    assert scores["mcc"] == pytest.approx(1 / math.sqrt(6))


def test_auroc_counts_pairs_and_ties_half() -> None:
    # Members 0.8 and 0.4 against others 0.4 and 0.1: three pairs in order, one tied.
    member = np.array([0.8, 0.4, 0.4, 0.1])
    scores = evaluate(np.array([0, 0, 1, 1]), np.column_stack([member, 1 - member]), classes=["A", "B"])
    assert scores["per_class"]["A"]["auroc"] == 0.875
    assert scores["auroc"] == 0.875


def test_perfect_predictions() -> None:
    scores = evaluate(*certain([[3, 0, 0], [0, 2, 0], [0, 0, 4]]), classes=CLASSES)
    overall = [
        *("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "kappa", "auroc", "average_precision")
    ]
    assert [scores[name] for name in overall] == [1.0] * 8
    assert [scores[name] for name in ("log_loss", "brier_score", "expected_calibration_error")] == [0.0] * 3
    assert scores["per_class"]["LYMPHOCYTE"] == {
        **dict.fromkeys(["precision", "sensitivity", "specificity", "f1", "auroc", "average_precision"], 1.0),
        "support": 2,
    }


def test_every_prediction_wrong() -> None:
    scores = evaluate(*certain([[0, 3], [3, 0]]), classes=["A", "B"])
    assert (scores["accuracy"], scores["macro_f1"], scores["mcc"], scores["auroc"]) == (0.0, 0.0, -1.0, 0.0)


def test_a_model_that_always_says_the_same_is_no_better_than_chance() -> None:
    scores = evaluate(*certain([[0, 0, 2], [0, 0, 2], [0, 0, 6]]), classes=CLASSES)
    assert scores["balanced_accuracy"] == pytest.approx(1 / 3)
    assert (scores["mcc"], scores["kappa"], scores["auroc"]) == (0.0, 0.0, 0.5)
    never_predicted = scores["per_class"]["LYMPHOCYTE"]
    assert never_predicted["precision"] is None
    assert (never_predicted["sensitivity"], never_predicted["f1"], never_predicted["specificity"]) == (0.0, 0.0, 1.0)


def test_a_class_without_members_is_left_out_of_the_means() -> None:
    scores = evaluate(*certain([[3, 1, 0], [0, 0, 0], [0, 0, 4]]), classes=CLASSES)
    assert scores["per_class"]["LYMPHOCYTE"] == {
        "precision": 0.0,
        "sensitivity": None,
        "specificity": 7 / 8,
        "f1": None,
        "auroc": None,
        "average_precision": None,
        "support": 0,
    }
    assert scores["balanced_accuracy"] == 0.875
    assert scores["macro_f1"] == pytest.approx((6 / 7 + 1) / 2)
    assert scores["auroc"] == pytest.approx((0.875 + 1) / 2)
    json.dumps(scores, allow_nan=False)


def test_with_one_class_nothing_is_told_apart() -> None:
    scores = evaluate(*certain([[4, 0, 0], [0, 0, 0], [0, 0, 0]]), classes=CLASSES)
    assert scores["accuracy"] == 1.0
    assert (scores["mcc"], scores["kappa"], scores["auroc"]) == (None, None, None)
    assert scores["per_class"]["EOSINOPHIL"]["specificity"] is None


@pytest.mark.parametrize(
    ("truth", "probabilities", "message"),
    [
        ([], np.empty((0, 3)), "no image"),
        ([0, 1], np.full((2, 2), 0.5), r"expected probabilities of shape \(2, 3\), got \(2, 2\)"),
        ([0, 3], np.full((2, 3), 0.3), "indices from 0 to 2"),
        ([0, 1], np.full((2, 3), np.nan), "not finite.*learning_rate"),
    ],
)
def test_unusable_input_is_named(truth: list[int], probabilities: NDArray[np.float64], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(np.array(truth, dtype=int), probabilities, classes=CLASSES)


def test_predictions_are_written_with_six_decimals_whatever_the_last_bits(tmp_path: Path) -> None:
    probabilities = np.array([[0.2, 0.1234567, 0.6765433], [0.5, 0.25, 0.25]], dtype=np.float32)
    table = predictions_table(["007", "NA"], ["slide 1", "slide 1"], np.array([2, 1]), probabilities, CLASSES)
    write_csv(tmp_path / "predictions.csv", table)
    assert (tmp_path / "predictions.csv").read_text().splitlines() == [
        "id,group,truth,prediction,probability_EOSINOPHIL,probability_LYMPHOCYTE,probability_NEUTROPHIL",
        "007,slide 1,NEUTROPHIL,NEUTROPHIL,0.2,0.123457,0.676543",
        "NA,slide 1,LYMPHOCYTE,EOSINOPHIL,0.5,0.25,0.25",
    ]
    nudged = np.nextafter(probabilities, np.float32(1))
    again = predictions_table(["007", "NA"], ["slide 1", "slide 1"], np.array([2, 1]), nudged, CLASSES)
    pd.testing.assert_frame_equal(table, again, check_exact=True)


def test_intervals_stand_behind_their_measures_and_beside_wilsons() -> None:
    truth, probabilities = certain([[5, 1, 0], [2, 3, 1], [0, 1, 7]])
    scores = evaluate_with_intervals(truth, probabilities, groups=[str(i) for i in range(20)], classes=CLASSES)
    assert list(scores)[:5] == ["groups", "images", "accuracy", "accuracy_low", "accuracy_high"]
    assert (scores["groups"], scores["accuracy"]) == (20, 0.75)
    for kind in ("", "_wilson"):  # the same, as every image is a group of its own
        assert scores[f"accuracy{kind}_low"] == pytest.approx(0.5313, abs=1e-4)
        assert scores[f"accuracy{kind}_high"] == pytest.approx(0.8881, abs=1e-4)
    neutrophil = scores["per_class"]["NEUTROPHIL"]
    assert neutrophil["f1_low"] < 7 / 8 < neutrophil["f1_high"]
    assert neutrophil["sensitivity_low"] == pytest.approx(0.5291, abs=1e-4)
    assert neutrophil["sensitivity_wilson_low"] == pytest.approx(0.5291, abs=1e-4)
    assert "per_group" not in scores
    assert describe_measure(scores, "accuracy") == "accuracy 0.750 (0.531 to 0.888)"
    json.dumps(scores, allow_nan=False)


def test_the_interval_of_the_calibration_error_holds_its_value() -> None:
    confidence = np.repeat([0.55, 0.65, 0.75, 0.85, 0.95], 20)  # each is right as often as it says
    right = np.concatenate([np.arange(20) < hits for hits in (11, 13, 15, 17, 19)])
    sure = np.where(right, confidence, 1 - confidence)
    scores = evaluate_with_intervals(
        np.zeros(100, int), np.stack([sure, 1 - sure], axis=1), groups=list(map(str, range(100))), classes=["A", "B"]
    )
    assert scores["expected_calibration_error"] == pytest.approx(0)
    assert scores["expected_calibration_error_low"] == 0
    assert 0.01 < scores["expected_calibration_error_high"] < 0.15


def test_copies_of_a_photograph_make_no_interval_narrower() -> None:
    truth, probabilities = certain([[5, 1, 0], [2, 3, 1], [0, 1, 7]])
    names = [str(i) for i in range(20)]
    once = evaluate_with_intervals(truth, probabilities, groups=names, classes=CLASSES)
    copied = evaluate_with_intervals(
        np.repeat(truth, 30),
        np.repeat(probabilities, 30, axis=0),
        groups=np.repeat(names, 30).tolist(),
        classes=CLASSES,
    )
    assert copied["images"] == 600
    for metric in ("accuracy_low", "accuracy_high", "macro_f1_low", "macro_f1_high", "auroc_low", "log_loss_high"):
        assert copied[metric] == pytest.approx(once[metric])
    assert copied["per_group"] == evaluate(truth, probabilities, classes=CLASSES)


def test_images_of_one_group_vote_together_unless_their_classes_differ() -> None:
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.4, 0.6, 0.0], [0.9, 0.1, 0.0], [0.3, 0.7, 0.0], [0.8, 0.2, 0.0]])
    scores = evaluate_with_intervals(truth, probabilities, groups=["a", "a", "a", "b"], classes=CLASSES)
    assert scores["accuracy"] == 0.5
    assert scores["per_group"]["images"] == 3
    assert scores["per_group"]["accuracy"] == pytest.approx(2 / 3)


def test_a_share_has_the_interval_of_whole_groups_and_wilsons() -> None:
    hits, trials = np.array([True, True, False, True]), np.array([True, True, True, False])
    everything, nothing = np.ones(4, dtype=bool), np.zeros(4, dtype=bool)
    shares = score_proportions(
        {"some": (hits, trials), "all": (hits, everything), "none": (hits, nothing)}, groups=["a", "a", "b", "c"]
    )
    assert shares["some"].value == pytest.approx(2 / 3)
    assert shares["some"][1:3] == pytest.approx((0.1480, 0.9584), abs=1e-4)  # Wilson's of 1.2 in 1.8
    assert shares["some"][3:] == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert shares["all"].value == 0.75
    assert shares["none"] == Proportion(None, None, None, None, None)
    assert Proportion(0.5, 0.1, 0.9, 0.2, 0.8).named("error") == {
        "error": 0.5,
        "error_low": 0.1,
        "error_high": 0.9,
        "error_wilson_low": 0.2,
        "error_wilson_high": 0.8,
    }


def test_images_with_several_flags_count_for_each_and_those_without_for_themselves() -> None:
    flags = ["", "cut_by_frame", "too_dark;cut_by_frame", "", "cut_by_frame"]
    assert {name: member.tolist() for name, member in flag_members(flags).items()} == {
        "unflagged": [True, False, False, True, False],
        "cut_by_frame": [False, True, True, False, True],
        "too_dark": [False, False, True, False, False],
    }
    assert list(flag_members(["too_dark"])) == ["too_dark"]
    predicted = Predicted(np.array([0, 0, 0, 1, 1]), np.eye(2)[[0, 1, 0, 1, 0]])
    scores = score_by_flag(predicted, flags=flags, groups=list("abcde"))
    assert {name: (of["images"], of["errors"]) for name, of in scores.items()} == {
        "unflagged": (2, 0),
        "cut_by_frame": (3, 2),
        "too_dark": (1, 0),
    }
    assert scores["cut_by_frame"]["accuracy"] == pytest.approx(1 / 3)
    assert scores["cut_by_frame"]["accuracy_wilson_low"] == pytest.approx(0.0615, abs=1e-4)
    assert list(scores["too_dark"]) == [
        *("images", "errors", "accuracy", "accuracy_low", "accuracy_high"),
        *("accuracy_wilson_low", "accuracy_wilson_high"),
    ]


def test_the_interval_to_show_is_wilsons_where_resamples_do_not_differ() -> None:
    ends = {"sensitivity_low": 1.0, "sensitivity_high": 1.0}
    wilson = {"sensitivity_wilson_low": 0.65, "sensitivity_wilson_high": 1.0}
    assert format_measure({"sensitivity": 1.0, **ends, **wilson}, "sensitivity") == "1.000 (0.650 to 1.000)"
    assert format_measure({"sensitivity": 1.0, **ends}, "sensitivity") == "1.000"
    assert format_measure({"sensitivity": 0.5}, "sensitivity", digits=2) == "0.50"  # a file of before the intervals
    assert format_measure({"f1": 0.5, "f1_low": 0.25, "f1_high": 0.75}, "f1", digits=2) == "0.50 (0.25 to 0.75)"
    assert format_measure({"f1": None, "f1_low": None}, "f1") == "-"
    assert read_interval({"f1": None}, "f1") is None
    assert describe_measure({"brier_score": 0.2}, "brier_score") == "Brier score 0.200"


def test_a_prediction_is_the_most_probable_class_the_first_of_equals() -> None:
    predicted = Predicted(np.array([1, 1]), np.array([[0.5, 0.5], [0.3, 0.7]]))
    assert predicted.prediction.tolist() == [0, 1]
    assert predicted.confidence.tolist() == [0.5, 0.7]
    assert predicted.right.tolist() == [False, True]
