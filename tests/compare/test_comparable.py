import pandas as pd
import pytest

from wbc.compare.comparable import UnlikeRunsError, choose_runs, describe_parts, restrict

LOCKED = {"data/cells.npy": "cells", "data/split.csv": "split 1/0"}


def run(model: str, *, seed: int = 1, fold: int = 0, **others: str) -> dict[str, str]:
    """Return a recorded run; its name is that of the model, the seed and the fold."""
    record = {
        "model": model,
        "weights_used": "random",
        "seed": str(seed),
        "data.source": "toy",
        "clean.window": "240",
        "split.strategy": "grouped",
        "split.folds": "5",
        "split.fold": str(fold),
        "train.mixup": "0.0",
        "dep.data/cells.npy": "cells",
        "dep.data/split.csv": f"split {seed}/{fold}",
        "mlflow.runName": f"{model}-{seed}{fold}",
    }
    return record | {key.replace("__", "."): value for key, value in others.items()}


def names(runs: pd.DataFrame) -> list[str]:
    return runs["mlflow.runName"].tolist()


def reasons(runs: pd.DataFrame) -> dict[str, str]:
    return dict(zip(runs["mlflow.runName"], runs["reason"], strict=True))


def test_a_leaky_run_is_left_out_and_an_error_when_asked_for_or_alone() -> None:
    runs = pd.DataFrame([run("honest"), run("leaker", split__strategy="leaky")])

    choice = choose_runs(runs, locked=LOCKED)

    assert names(choice.runs) == ["honest-10"]
    assert reasons(choice.left_out) == {"leaker-10": "its split is leaky, it was trained on views of test images"}
    for asked in ({"models": ["honest", "leaker"]}, {"names": ["leaker-10"]}, {"names": ["honest-10", "leaker-10"]}):
        with pytest.raises(UnlikeRunsError, match=r"one ranking:\n(.*\n)?leaker-10: its split is leaky"):
            choose_runs(runs, locked=LOCKED, **asked)
    with pytest.raises(UnlikeRunsError, match="leaker-10: its split is leaky"):
        choose_runs(runs[1:], locked=LOCKED)


def test_a_run_that_only_its_evaluation_calls_leaky_is_left_out_and_so_is_one_of_unknown_split() -> None:
    leaker, unknown = run("leaker", test_split_strategy="leaky"), run("unknown")
    for key in ("split.strategy", "split.folds", "split.fold"):
        leaker.pop(key)
        unknown.pop(key)

    choice = choose_runs(pd.DataFrame([run("a"), leaker, unknown]), locked=LOCKED)

    assert names(choice.runs) == ["a-10"]
    assert reasons(choice.left_out) == {
        "leaker-10": "its split is leaky, it was trained on views of test images",
        "unknown-10": "its source, split or seed was not recorded",
    }


def test_runs_of_different_test_parts_are_not_ranked_together() -> None:
    runs = pd.DataFrame([run("a"), run("b", fold=1), run("c")])

    choice = choose_runs(runs, locked=LOCKED)

    assert names(choice.runs) == ["a-10", "c-10"]
    assert reasons(choice.left_out) == {"b-11": "its configuration was tested on toy, split grouped, seed 1, fold 1"}
    with pytest.raises(UnlikeRunsError, match=r"b-11: its configuration was tested on .* fold 1"):
        choose_runs(runs, locked=LOCKED, names=["a-10", "b-11"])
    with pytest.raises(UnlikeRunsError, match=r"a-10: .* fold 0\nb-11: .* fold 1"):
        choose_runs(runs, locked=LOCKED, models=["a", "b"])


def test_the_locked_part_goes_before_the_number_of_runs() -> None:
    runs = pd.DataFrame([run("a", fold=1), run("b", fold=1), run("c")])

    assert names(choose_runs(runs, locked=LOCKED).runs) == ["c-10"]
    assert names(choose_runs(runs, locked={}).runs) == ["a-11", "b-11"]


def test_one_model_of_many_folds_is_no_ranking_where_there_are_two_of_one() -> None:
    runs = pd.DataFrame([*(run("a", fold=fold) for fold in range(5)), run("b")])
    assert names(choose_runs(runs, locked=LOCKED).runs) == ["a-10", "b-10"]


def test_a_model_of_one_fold_stands_back_behind_models_of_all_folds() -> None:
    runs = pd.DataFrame([run(model, fold=fold) for model in ("a", "b") for fold in (0, 1)] + [run("c")])

    assert names(choose_runs(runs, locked=LOCKED).runs) == ["a-10", "a-11", "b-10", "b-11"]
    named = choose_runs(runs, locked=LOCKED, models=["a", "c"])
    assert names(named.runs) == ["a-10", "c-10"]
    assert reasons(named.left_out) == {"a-11": "its configuration was tested on toy, split grouped, seed 1, folds 0, 1"}
    assert names(choose_runs(restrict(runs, ["split.fold=0"]), locked=LOCKED).runs) == ["a-10", "b-10", "c-10"]


def test_other_images_by_the_same_parameters_are_left_out_but_another_cleaning_is_not() -> None:
    runs = pd.DataFrame(
        [
            run("later", **{"dep.data/cells.npy": "changed since"}),
            run("present"),
            run("wider", clean__window="300", **{"dep.data/cells.npy": "wider"}),
        ]
    )

    choice = choose_runs(runs, locked=LOCKED)

    assert names(choice.runs) == ["present-10", "wider-10"]
    assert reasons(choice.left_out) == {
        "later-10": "its images were others, another data/cells.npy by the same parameters"
    }
    assert names(choose_runs(runs, locked={}).runs) == ["later-10", "wider-10"]


def test_only_the_latest_of_two_equal_runs_counts_and_other_parameters_make_another_configuration() -> None:
    runs = pd.DataFrame([run("a"), run("a", **{"mlflow.runName": "old"}), run("a", train__mixup="0.2")])
    runs.loc[3] = pd.Series({**run("a"), "mlflow.runName": "older still", "train.mixup": None})

    choice = choose_runs(runs, locked=LOCKED)

    assert choice.runs["train.mixup"].fillna("").tolist() == ["0.0", "0.2", ""]
    assert choice.runs["configuration"].nunique() == 3
    assert reasons(choice.left_out) == {"old": "a later run has the same configuration and split"}


def test_other_weights_are_another_configuration() -> None:
    runs = pd.DataFrame([run("a"), run("a", fold=1, weights_used="imagenet")])
    assert names(choose_runs(runs, locked=LOCKED).runs) == ["a-10"]


def test_unknown_names_and_conditions_say_what_there_is() -> None:
    runs = pd.DataFrame([run("a", DVC_EXP_NAME="lucky")])

    assert names(choose_runs(runs, locked=LOCKED, names=["lucky"]).runs) == ["a-10"]
    with pytest.raises(UnlikeRunsError, match="no recorded run of b: see"):
        choose_runs(runs, locked=LOCKED, models=["a", "b"])
    with pytest.raises(ValueError, match=r"split\.fold=3: no run has it, there are 0"):
        restrict(runs, ["split.fold=3"])
    with pytest.raises(ValueError, match="fold: no run has such a parameter; write parameter=value"):
        restrict(runs, ["fold"])


def test_parts_are_told_by_seed_and_fold() -> None:
    runs = [run("a", seed=seed, fold=fold) for seed in (2, 1) for fold in (1, 0)]
    assert describe_parts(pd.DataFrame(runs)) == "toy, split grouped, seeds 1, 2, folds 0, 1"
    assert describe_parts(pd.DataFrame(runs[:3])) == "toy, split grouped, seed 1, fold 1; seed 2, folds 0, 1"
    assert describe_parts(pd.DataFrame([run("a", split__folds="null")])) == "toy, split grouped, seed 1"
