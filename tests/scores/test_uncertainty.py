from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from wbc.scores.uncertainty import Answered, interval_ends, mean_measures, values

CLASSES = ["EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL"]
SIZES = [17, 7, 4, 41]  # BCCD's test part


def certain(counts: Sequence[Sequence[int]], *, copies: int = 1) -> Answered:
    """Return one-hot answers with the confusion ``counts`` (truth, prediction), each image a group of its copies."""
    table = np.array(counts)
    truth, prediction = np.nonzero(table)
    repeats = table[truth, prediction]
    names = [str(number) for number in range(repeats.sum()) for _ in range(copies)]
    return Answered(
        names, np.repeat(truth, copies * repeats), np.eye(len(table))[np.repeat(prediction, copies * repeats)]
    )


def drawn(random: np.random.Generator, *, sizes: Sequence[int], strength: float) -> Answered:
    """Return answers whose logits are ``strength`` for the true class plus noise of a standard deviation of 1."""
    truth = np.repeat(np.arange(len(sizes)), sizes)
    raised = np.exp(strength * np.eye(len(sizes))[truth] + random.standard_normal((len(truth), len(sizes))))
    return Answered(list(map(str, range(len(truth)))), truth, raised / raised.sum(axis=1, keepdims=True))


def test_intervals_hold_the_truth_and_do_not_flatter_where_classes_are_small() -> None:
    metrics = ["balanced_accuracy", "macro_f1", "auroc", "per_class.MONOCYTE.f1"]
    random = np.random.default_rng(0)
    true = values([[drawn(random, sizes=[500 * size for size in SIZES], strength=2.6)]], classes=CLASSES)[metrics]
    parts = [[[drawn(random, sizes=SIZES, strength=2.6)]] for _ in range(60)]
    ends = [interval_ends(part, classes=CLASSES, metrics=metrics, resamples=200) for part in parts]
    above = pd.DataFrame([one.loc["low"] > true for one in ends]).sum()
    below = pd.DataFrame([one.loc["high"] < true for one in ends]).sum()
    # Percentiles of resampled images lie above the truth of balanced accuracy in a fifth of the trials, here in 12.
    assert above["balanced_accuracy"] <= 3
    assert (above + below).max() <= 9


def test_a_constant_answer_may_be_right_more_often_than_it_was() -> None:
    counts = np.zeros((4, 4), dtype=int)
    counts[:, 3] = SIZES
    ends = interval_ends([[certain(counts)]], classes=CLASSES)
    low, high = ends["balanced_accuracy"]
    assert low < 0.25 < high
    assert 0.05 < high - low < 0.25
    assert ends["per_class.MONOCYTE.sensitivity"].tolist() == pytest.approx([0.0, 0.4899], abs=1e-4)  # 0 of 4, Wilson


def test_a_class_without_an_error_is_not_certain() -> None:
    ends = interval_ends([[certain(np.diag(SIZES))]], classes=CLASSES)
    assert ends.loc["high"].drop(["log_loss", "brier_score", "expected_calibration_error"]).tolist() == pytest.approx(
        [1.0] * (8 + 24)
    )
    assert ends["per_class.MONOCYTE.sensitivity"]["low"] == pytest.approx(0.5101, abs=1e-4)  # 4 of 4, Wilson
    assert 0.5 < ends["per_class.MONOCYTE.f1"]["low"] < 0.9
    assert 0.5 < ends["per_class.MONOCYTE.auroc"]["low"] < 0.9
    assert 0.8 < ends["balanced_accuracy"]["low"] < 0.97


def test_copies_make_no_interval_narrower() -> None:
    counts = [[5, 1, 0], [2, 3, 1], [0, 1, 7]]
    once, copied = (
        interval_ends([[certain(counts, copies=copies)]], classes=CLASSES[:3], resamples=200) for copies in (1, 5)
    )
    pd.testing.assert_frame_equal(copied, once)


def test_what_is_not_defined_has_no_interval() -> None:
    ends = interval_ends([[certain([[3, 1, 0], [0, 0, 0], [0, 0, 4]])]], classes=CLASSES[:3])
    assert ends["per_class.LYMPHOCYTE.sensitivity"].isna().all()
    assert ends["per_class.LYMPHOCYTE.f1"].isna().all()
    low, high = ends["macro_f1"]  # of the other two classes
    assert low < (6 / 7 + 1) / 2 < high


def test_ranks_are_of_one_model_each_and_the_rest_of_all_images_together() -> None:
    # Each model gives its only EOSINOPHIL the higher probability, the second one lower ones throughout.
    folds = [
        Answered(["a", "b"], np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]])),
        Answered(["c", "d", "e"], np.array([0, 1, 1]), np.array([[0.5, 0.5], [0.2, 0.8], [0.1, 0.9]])),
    ]
    value = values([folds], classes=CLASSES[:2])
    assert (value["auroc"], value["average_precision"]) == (1.0, 1.0)
    assert value["accuracy"] == pytest.approx(4 / 5)  # means over the folds would be 3 / 4
    pooled = Answered(
        [*"abcde"], *(np.concatenate([getattr(fold, name) for fold in folds]) for name in Answered._fields[1:])
    )
    assert values([[pooled]], classes=CLASSES[:2])["auroc"] == pytest.approx(5 / 6)


def test_a_fold_without_a_class_does_not_count_for_its_ranks() -> None:
    folds = [
        Answered(["a", "b"], np.array([0, 1]), np.array([[0.4, 0.6], [0.6, 0.4]])),
        Answered(["c", "d"], np.array([1, 1]), np.array([[0.5, 0.5], [0.2, 0.8]])),
    ]
    assert values([folds], classes=CLASSES[:2])["auroc"] == 0.0
    assert np.isfinite(interval_ends([folds], classes=CLASSES[:2])["auroc"]).all()


def test_more_seeds_of_the_same_photographs_make_no_interval_narrower() -> None:
    model = certain([[5, 1, 0], [2, 3, 1], [0, 1, 7]])
    once, often = (interval_ends([[model]] * seeds, classes=CLASSES[:3], resamples=200) for seeds in (1, 10))
    pd.testing.assert_frame_equal(often, once)


def test_the_mean_is_over_seeds_each_by_its_own_weights() -> None:
    right, wrong = certain([[1, 0], [0, 1]]), certain([[0, 1], [0, 1]])
    weights = [[np.array([[1.0, 1.0]])], [np.array([[3.0, 1.0]])]]
    table = mean_measures([[right], [wrong]], classes=CLASSES[:2], weights=weights)
    assert table["accuracy"].tolist() == [(1 + 1 / 4) / 2]
