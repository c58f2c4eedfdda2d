from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from wbc.compare.comparison import Predictions
from wbc.compare.ranking import Ranking, estimate, pool_seeds, rank
from wbc.compare.ranking_report import notes_of

CLASSES = ["EOSINOPHIL", "NEUTROPHIL"]
IMAGES = 40  # in one fold


def predictions(hits: int, *, fold: int) -> Predictions:
    """Return predictions of the images of a fold, alternately of either class, of which so many are right."""
    truth = np.arange(IMAGES) % 2
    chances = np.eye(2)[np.where(np.arange(IMAGES) < hits, truth, 1 - truth)] * 0.8 + 0.1
    ids = [f"{fold * IMAGES + number:05}" for number in range(IMAGES)]
    return Predictions(ids, ids, truth, chances, CLASSES)


def ranked(
    *runs: tuple[str, int, int, int], metric: str = "accuracy", code: Sequence[str] = (), **others: list[str]
) -> Ranking:
    """Return the ranking of runs (model, seed, fold, right images) with further columns."""
    records = [
        {
            "model": model,
            "weights_used": "random",
            "seed": str(seed),
            "data.source": "toy",
            "split.strategy": "grouped",
            "split.folds": "5",
            "split.fold": str(fold),
            "configuration": model,
            "part": f"{seed}/{fold}",
            "run_id": f"{hits} {fold}",
            "mlflow.runName": f"{model}-{seed}{fold}",
            "train_seconds": float(hits),
        }
        for model, seed, fold, hits in runs
    ]

    def read(run_id: str) -> Predictions:
        hits, fold = map(int, run_id.split())
        return predictions(hits, fold=fold)

    return rank(pd.DataFrame(records).assign(**others), metric=metric, read=read, code=code)


def test_the_interval_of_the_calibration_error_is_freed_of_what_resampling_adds() -> None:
    # Of 40 answers 36 are right, each given as 0.9 sure. The distance of a resampled share from 0.9 has a mean of 0.038
    # and a 97.5th percentile of 0.106: half a normal distribution whose standard error is 0.047.
    error = estimate([[predictions(36, fold=0)]], metric="expected_calibration_error")
    assert (error.value, error.low) == (pytest.approx(0, abs=1e-9), 0)
    assert error.high == pytest.approx(0.106 - 0.038, abs=0.01)


def test_more_seeds_of_the_same_photographs_make_no_interval_narrower() -> None:
    # All seeds err on the same photographs: ten of them say no more of others than one does. 30 of 40, Wilson.
    for seeds in (1, 3, 10):
        interval = estimate([[predictions(30, fold=0)]] * seeds, metric="accuracy")
        assert interval == pytest.approx((0.75, 0.5981, 0.8581), abs=1e-4)


def test_the_mean_over_seeds_and_their_spread() -> None:
    [row] = ranked(*(("a", seed, 0, hits) for seed, hits in enumerate((28, 30, 32)))).rows
    assert row.result.value == pytest.approx(0.75)
    assert row.spread == pytest.approx(0.05)
    assert np.isnan(ranked(("a", 1, 0, 30)).rows[0].spread)


def test_the_difference_is_that_of_the_means_beside_it() -> None:
    # In one pool of all seeds, the confusions of a class add up before its F1 is taken, and the means do not.
    runs = [
        (model, seed, 0, hits)
        for model, pair in {"a": (40, 36), "b": (6, 38)}.items()
        for seed, hits in enumerate(pair)
    ]
    best, other = ranked(*runs, metric="macro_f1").rows
    assert other.difference is not None
    assert other.difference.value == pytest.approx(other.result.value - best.result.value, abs=1e-12)


def test_ranks_are_averaged_over_the_models_of_the_folds() -> None:
    def read(run_id: str) -> Predictions:
        # Each model ranks perfectly, the second one with lower probabilities of class 0 throughout.
        fold, chances = int(run_id), {"0": [0.9, 0.6], "1": [0.5, 0.2]}[run_id]
        table = np.repeat([[chance, 1 - chance] for chance in chances], 5, axis=0)
        ids = [f"{fold}{number}" for number in range(10)]
        return Predictions(ids, ids, np.repeat([0, 1], 5), table, CLASSES)

    pools = pool_seeds(pd.DataFrame({"seed": ["1", "1"], "run_id": ["0", "1"]}), read=read)
    assert estimate(list(pools.values()), metric="auroc").value == 1.0
    assert estimate(list(pools.values()), metric="average_precision").value == 1.0


def test_pooled_runs_of_different_code_are_named() -> None:
    runs = [("a", 1, 0, 36), ("a", 1, 1, 34), ("b", 1, 0, 30), ("b", 1, 1, 30)]
    code = {
        "dep.wbc/train/training.py": ["old", "new", "new", "new"],
        "dep.wbc/evaluate/score_figures.py": ["1", "2", "3", "4"],
    }
    table = ranked(*runs, code=["wbc/train/training.py", "wbc/absent.py"], **code)
    assert [row.code for row in table.rows] == [["wbc/train/training.py"], []]
    nobody = pd.DataFrame({"reason": [], "model": []})
    assert "The runs of `a` were trained by different code: wbc/train/training.py." in notes_of(table, nobody)


def test_code_that_one_of_the_pooled_runs_did_not_have_yet_is_named() -> None:
    runs = [("a", 1, 0, 36), ("a", 1, 1, 34)]
    table = ranked(*runs, code=["wbc/train/fused.py"], **{"dep.wbc/train/fused.py": ["new", None]})
    assert [row.code for row in table.rows] == [["wbc/train/fused.py"]]


def test_rows_of_other_code_than_the_best_are_named() -> None:
    runs = [("a", 1, 0, 36), ("b", 1, 0, 34), ("c", 1, 0, 30)]
    code = {"dep.wbc/train/training.py": ["new", "new", "old"], "dep.wbc/train/fused.py": ["1", "1", None]}
    table = ranked(*runs, code=["wbc/train/training.py", "wbc/train/fused.py"], **code)
    assert [row.other_code for row in table.rows] == [[], [], ["wbc/train/training.py", "wbc/train/fused.py"]]
    nobody = pd.DataFrame({"reason": [], "model": []})
    notes = notes_of(table, nobody)
    assert "`c` was trained by other code than the best row: wbc/train/training.py, wbc/train/fused.py." in notes
    assert not [note for note in notes if note.startswith("`b`")]


def test_the_folds_of_a_seed_are_pooled_and_the_best_comes_first() -> None:
    table = ranked(("worse", 1, 0, 20), ("worse", 1, 1, 30), ("better", 1, 0, 36), ("better", 1, 1, 32))

    better, worse = table.rows
    assert (better.run["model"], better.result.value) == ("better", 68 / 80)
    assert (worse.run["model"], worse.result.value) == ("worse", 50 / 80)
    # The standard error of 68 of 80 is 0.040, of 50 of 80 0.054.
    assert (better.result.low, better.result.high) == pytest.approx((0.772, 0.928), abs=0.02)
    assert (worse.result.low, worse.result.high) == pytest.approx((0.519, 0.731), abs=0.02)
    assert better.difference is None
    assert worse.difference is not None
    assert worse.difference.value == pytest.approx(-18 / 80)
    assert worse.difference.p_value < 0.001
    assert worse.mcnemar is None
    assert (table.splits, table.images) == (2, 80)
    assert table.parts == "toy, split grouped, seed 1, folds 0, 1"
    assert worse.train_seconds == 25.0


def test_one_split_has_mcnemars_test() -> None:
    table = ranked(("worse", 1, 0, 30), ("better", 1, 0, 36))
    assert table.rows[1].mcnemar == pytest.approx(2 / 2**6)  # six images differ, all one way


def test_two_seeds_of_the_same_photographs_are_one_sample() -> None:
    [once] = ranked(("a", 1, 0, 30)).rows
    [twice] = ranked(("a", 1, 0, 30), ("a", 2, 0, 30)).rows
    assert twice.result == pytest.approx(once.result)


def test_the_least_loss_comes_first() -> None:
    table = ranked(("worse", 1, 0, 30), ("better", 1, 0, 36), metric="log_loss")
    assert [row.run["model"] for row in table.rows] == ["better", "worse"]
    assert table.rows[1].difference is not None
    assert table.rows[1].difference.value > 0


def test_an_unknown_metric_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no metric 'acuracy'; there are accuracy, balanced_accuracy"):
        ranked(("a", 1, 0, 30), metric="acuracy")


def test_rows_show_the_parameters_that_tell_them_apart() -> None:
    table = ranked(
        *(("a", 1, 0, 36), ("a", 1, 0, 34), ("b", 1, 0, 32)),
        configuration=["one", "two", "three"],
        **{"train.mixup": ["0.0", "0.2", "0.0"], "train.loss": ["x", "x", "x"]},
        **{"model.epochs": ["8", "8", "25"], "augment.space": ["pixels", None, None]},
    )
    assert [row.settings for row in table.rows] == [
        {"augment.space": "pixels", "train.mixup": "0.0"},
        {"augment.space": "not recorded", "train.mixup": "0.2"},
        {"train.mixup": "0.0"},
    ]
