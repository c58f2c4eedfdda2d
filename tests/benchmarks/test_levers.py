from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.levers import (
    FOLDS,
    LEVERS,
    Lever,
    Training,
    merge_scores,
    plan,
    pool_folds,
    tabulate_levers,
    with_baselines,
)
from benchmarks.stains import PREPARATIONS
from wbc.base.files import write_csv

CLASSES = ["EOSINOPHIL", "MONOCYTE", "NEUTROPHIL"]


def write(training: Training, probabilities: dict[str, float], *, work: Path) -> None:
    """Write predictions, all alike, of one test and one validation image, in one view and, turned round, in eight."""
    rows = [
        {"id": f"{training.fold}", "group": "g", "split": part, "truth": "MONOCYTE", "views": views}
        | {
            f"probability_{name}": probabilities[name] if views == 1 else 1 - probabilities[name]
            for name in probabilities
        }
        for part in ("validation", "test")
        for views in (1, 8)
    ]
    write_csv(work / training.file, pd.DataFrame(rows))


def test_a_lever_changes_what_it_names_and_nothing_else() -> None:
    chosen, averaged = (plan(LEVERS[name], seeds=2) for name in ("chosen", "chosen, weight averaging"))
    assert len(chosen) == len(averaged) == 2 * FOLDS
    assert averaged[0].train == chosen[0].train | {"averaging": 0.99}
    assert averaged[0]._replace(train=chosen[0].train) == chosen[0]
    assert len({one.file for one in chosen + averaged}) == 4 * FOLDS


def test_the_start_stays_what_it_was_whatever_params_yaml_says() -> None:
    start = plan(LEVERS["start"], seeds=1)[0]
    assert start.clean["window"] == 240
    assert [start.augment[key] for key in ("stain", "colour", "brightness")] == [0.2, 0.1, 0.15]


def test_views_need_no_training_of_their_own_and_members_share_the_first() -> None:
    chosen, once, three = (
        plan(LEVERS[name], seeds=1) for name in ("chosen", "window 180, no change of colour", "chosen, three networks")
    )
    assert chosen == once
    assert len(three) == 3 * FOLDS
    assert set(map(repr, chosen)) < set(map(repr, three))


def test_every_lever_can_be_planned_and_has_a_known_baseline() -> None:
    for lever in LEVERS.values():
        assert lever.baseline is None or lever.baseline in LEVERS
        assert plan(lever, seeds=1)
    with pytest.raises(KeyError, match=r"train\.averages"):
        plan(Lever({"train.averages": 0.9}), seeds=1)


def test_a_lever_brings_all_that_its_table_rows_need() -> None:
    assert with_baselines("start") == ["start"]
    assert with_baselines("96 px, mixup 0.2") == ["96 px, mixup 0.2", "96 px", "start"]


def test_the_probabilities_of_several_networks_are_averaged(tmp_path: Path) -> None:
    lever = Lever({}, members=2)
    trainings = plan(lever, seeds=1)
    for one in trainings:
        first = 0.2 + 0.4 * one.member
        write(one, {"EOSINOPHIL": first, "MONOCYTE": 1 - first, "NEUTROPHIL": 0.0}, work=tmp_path)
    folds = pool_folds(lever, trainings, work=tmp_path, part="test")["1"]
    assert [fold.ids for fold in folds] == [[f"{fold}/{fold}"] for fold in range(FOLDS)]
    np.testing.assert_allclose([fold.probabilities[0] for fold in folds], [[0.4, 0.6, 0.0]] * FOLDS)
    turned = pool_folds(lever._replace(changes={"train.views": 8}), trainings, work=tmp_path, part="test")["1"]
    np.testing.assert_allclose([fold.probabilities[0, :2] for fold in turned], [[0.6, 0.4]] * FOLDS)


def test_a_pairwise_network_divides_what_the_first_gives_to_its_two_classes(tmp_path: Path) -> None:
    lever = Lever({}, pair=("EOSINOPHIL", "NEUTROPHIL"))
    trainings = plan(lever, seeds=1)
    for one in trainings:
        whole = {"EOSINOPHIL": 0.5, "MONOCYTE": 0.2, "NEUTROPHIL": 0.3}
        write(one, {"EOSINOPHIL": 0.25, "NEUTROPHIL": 0.75} if one.classes else whole, work=tmp_path)
    folds = pool_folds(lever, trainings, work=tmp_path, part="validation")["1"]
    assert all(fold.classes == CLASSES for fold in folds)
    np.testing.assert_allclose([fold.probabilities[0] for fold in folds], [[0.2, 0.2, 0.6]] * FOLDS)


def test_the_table_says_what_each_lever_is_compared_with() -> None:
    row = {"seeds": 1, "validation": 0.9, "validation_log_loss": 0.4, "accuracy": 0.85, "macro_f1": 0.8}
    row |= {"test": 0.88, "test_low": 0.8, "test_high": 0.93, "test_spread": None}
    ends = {"difference_value": 0.01, "difference_low": -0.02, "difference_high": 0.04}
    table = pd.DataFrame(
        [
            {"lever": "start", "baseline": None} | row,
            {"lever": "x", "baseline": "start"} | row | ends | {"test_spread": 0.02},
        ]
    )
    start, changed = tabulate_levers(table).splitlines()[2:]
    assert start == "| start | 1 | 0.900 | 0.400 | 0.880 (0.800 to 0.930) | - | - | 0.850 | 0.800 |"
    assert "(0.800 to 0.930) | 0.020 | `start` +0.010 (-0.020 to +0.040) |" in changed


def test_a_row_gives_way_to_one_of_as_many_seeds_but_not_of_fewer() -> None:
    known = pd.DataFrame({"lever": ["96 px", "start", "8 views"], "seeds": [3, 1, 1], "test": [0.1, 0.2, 0.3]})
    new = pd.DataFrame({"lever": ["96 px", "start"], "seeds": [1, 1], "test": [0.4, 0.5]})
    assert merge_scores(known, new).values.tolist() == [["start", 1, 0.5], ["8 views", 1, 0.3], ["96 px", 3, 0.1]]


def test_a_normalised_stain_no_longer_depends_on_light() -> None:
    image = np.random.default_rng(0).integers(90, 160, size=(32, 32, 3), dtype=np.uint8)
    dark = (image * 0.7).astype(np.uint8)
    for change in PREPARATIONS.values():
        assert np.abs(change(image).astype(int) - change(dark).astype(int)).mean() < 5
