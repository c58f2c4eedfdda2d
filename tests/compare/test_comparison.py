from pathlib import Path

import numpy as np
import pytest

from wbc.base.files import write_csv
from wbc.compare.comparison import Predictions, mcnemar, paired_differences, read_predictions
from wbc.scores.predictions import predictions_table

CLASSES = ["EOSINOPHIL", "NEUTROPHIL"]


def predictions(right: list[bool], *, groups: list[str] | None = None) -> Predictions:
    """Return predictions of so many images, alternately of either class, that are right where ``right`` says so."""
    truth = np.arange(len(right)) % 2
    chances = np.eye(2)[np.where(right, truth, 1 - truth)] * 0.8 + 0.1
    ids = [str(i) for i in range(len(right))]
    return Predictions(ids, groups or ids, truth, chances, CLASSES)


def test_predictions_are_read_as_they_were_written(tmp_path: Path) -> None:
    chances = np.array([[0.25, 0.75], [1.0, 0.0]])
    table = predictions_table(["007", "NA"], ["7", "NA"], np.array([1, 0]), chances, CLASSES)
    write_csv(tmp_path / "predictions.csv", table)
    read = read_predictions(tmp_path / "predictions.csv")
    assert (read.ids, read.groups, read.truth.tolist(), read.classes) == (["007", "NA"], ["7", "NA"], [1, 0], CLASSES)
    assert read.probabilities.tolist() == chances.tolist()
    assert read_predictions((tmp_path / "predictions.csv").read_text()).ids == ["007", "NA"]


def test_what_is_no_table_of_predictions_is_refused() -> None:
    with pytest.raises(ValueError, match="no predictions of a model, truth is missing"):
        read_predictions("id,group,probability_A\n1,1,1.0\n")


def test_a_model_that_gains_ten_of_a_hundred_images() -> None:
    worse, better = predictions([True] * 80 + [False] * 20), predictions([True] * 90 + [False] * 10)
    difference = paired_differences(worse, better, metrics=["accuracy", "log_loss"])["accuracy"]
    # Ten of a hundred pairs differ, all one way: the difference is Binomial(100, 0.1) / 100.
    assert difference.value == pytest.approx(0.1)
    assert (difference.low, difference.high) == pytest.approx((0.05, 0.16), abs=0.011)
    assert difference.p_value < 0.001
    assert mcnemar(worse, better) == pytest.approx(2 / 2**10)


def test_equal_models_do_not_differ() -> None:
    model = predictions([True, False] * 20)
    difference = paired_differences(model, model, metrics=["macro_f1"])["macro_f1"]
    assert difference == (0.0, 0.0, 0.0, 1.0)
    assert mcnemar(model, model) == 1.0


def test_copies_of_one_photograph_are_no_evidence() -> None:
    groups = ["one"] * 10 + [str(i) for i in range(10)]
    worse = predictions([False] * 10 + [True] * 10, groups=groups)
    better = predictions([True] * 20, groups=groups)
    difference = paired_differences(worse, better, metrics=["accuracy"])["accuracy"]
    assert difference.value == 0.5
    assert difference.p_value > 0.5  # every third resample misses the one group that differs


def test_models_tested_on_other_images_are_not_compared() -> None:
    model = predictions([True] * 4)
    with pytest.raises(ValueError, match="other images: 4 and 3, 3 of them common"):
        paired_differences(model, predictions([True] * 3), metrics=["accuracy"])
    with pytest.raises(ValueError, match="other classes: EOSINOPHIL, NEUTROPHIL; MONOCYTE, NEUTROPHIL"):
        mcnemar(model, model._replace(classes=["MONOCYTE", "NEUTROPHIL"]))
    with pytest.raises(ValueError, match="same images, but with other labels or groups"):
        mcnemar(model, model._replace(truth=1 - model.truth))
