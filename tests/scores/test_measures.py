import numpy as np
import pytest
from sklearn import metrics

from wbc.scores.measures import measure

CLASSES = ["EOSINOPHIL", "LYMPHOCYTE", "NEUTROPHIL"]


@pytest.mark.parametrize("seed", range(5))
def test_weighted_measures_are_those_of_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, probabilities = random.integers(3, size=60), random.dirichlet(np.ones(3), size=60).round(1)  # with ties
    weights = random.integers(4, size=60).astype(float)
    prediction = probabilities.argmax(axis=1)
    measured = measure(truth, probabilities, classes=CLASSES, weights=np.stack([np.ones(60), weights])).loc[1]
    arguments = {"y_true": truth, "y_pred": prediction, "sample_weight": weights}
    expected = {
        "accuracy": metrics.accuracy_score(**arguments),
        "balanced_accuracy": metrics.balanced_accuracy_score(**arguments),
        "macro_f1": metrics.f1_score(**arguments, average="macro"),
        "weighted_f1": metrics.f1_score(**arguments, average="weighted"),
        "mcc": metrics.matthews_corrcoef(**arguments),
        "kappa": metrics.cohen_kappa_score(truth, prediction, sample_weight=weights),
        "brier_score": np.average(((probabilities - np.eye(3)[truth]) ** 2).sum(axis=1), weights=weights),
    }
    for index, name in enumerate(CLASSES):
        member, score = truth == index, probabilities[:, index]
        prefix = f"per_class.{name}."
        expected[prefix + "auroc"] = metrics.roc_auc_score(member, score, sample_weight=weights)
        expected[prefix + "average_precision"] = metrics.average_precision_score(member, score, sample_weight=weights)
        expected[prefix + "sensitivity"] = metrics.recall_score(member, prediction == index, sample_weight=weights)
        expected[prefix + "specificity"] = metrics.recall_score(~member, prediction != index, sample_weight=weights)
        expected[prefix + "precision"] = metrics.precision_score(member, prediction == index, sample_weight=weights)
    assert measured[list(expected)].to_dict() == pytest.approx(expected)


def test_log_loss_is_the_mean_surprise_and_a_zero_does_not_make_it_infinite() -> None:
    probabilities = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    measured = measure(np.array([0, 1]), probabilities, classes=CLASSES, weights=np.ones((1, 2)))
    assert measured["log_loss"][0] == pytest.approx(np.log(2) / 2)
    measured = measure(np.array([0, 0]), probabilities, classes=CLASSES, weights=np.ones((1, 2)))
    assert measured["log_loss"][0] == pytest.approx((np.log(2) - np.log(5e-7)) / 2)


def test_expected_calibration_error_by_hand() -> None:
    # Two of four right at confidence 0.8, one of one right at confidence 0.6: 4/5 of 0.3 and 1/5 of 0.4.
    probabilities = np.array([[0.8, 0.2, 0.0]] * 4 + [[0.6, 0.4, 0.0]])
    measured = measure(np.array([0, 0, 1, 1, 0]), probabilities, classes=CLASSES, weights=np.ones((1, 5)))
    assert measured["expected_calibration_error"][0] == pytest.approx(0.8 * 0.3 + 0.2 * 0.4)
    assert measured["brier_score"][0] == pytest.approx((2 * 0.08 + 2 * 1.28 + 0.32) / 5)


def test_a_mean_over_classes_is_of_all_that_have_members_or_of_none() -> None:
    truth, probabilities = np.array([0, 1, 2]), np.eye(3)
    measured = measure(truth, probabilities, classes=CLASSES, weights=np.array([[1.0, 1.0, 0.0]])).loc[0]
    assert np.isnan(measured["per_class.NEUTROPHIL.sensitivity"])
    assert np.isnan(measured[["balanced_accuracy", "macro_f1", "auroc", "average_precision"]].to_numpy(float)).all()
    measured = measure(truth[:2], probabilities[:2], classes=CLASSES, weights=np.ones((1, 2))).loc[0]
    assert (measured["balanced_accuracy"], measured["auroc"]) == (1.0, 1.0)  # nobody has a NEUTROPHIL
