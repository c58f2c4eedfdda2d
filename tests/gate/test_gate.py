import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from wbc.base.files import write_csv
from wbc.base.params import ParamsError, read_section, validate
from wbc.compare.comparison import Predictions
from wbc.gate.gate import (
    Champion,
    Check,
    check_champion,
    check_former,
    check_leaks,
    check_split,
    check_thresholds,
    check_weights,
    is_open,
    judge,
    read_metrics,
)
from wbc.gate.params import GateParams
from wbc.scores.intervals import wilson_interval
from wbc.scores.predictions import predictions_table

CLASSES = ["EOSINOPHIL", "NEUTROPHIL"]
RULES: dict[str, Any] = {
    "allow_random_weights": False,
    "allow_random_split": False,
    "allow_other_images": False,
    "overall": {},
    "per_class": {},
    "calibration": {},
    "against": {"metric": "accuracy", "margin": 0.05, "judge": "difference"},
}
EVALUATION: dict[str, Any] = {
    "split_strategy": "grouped",
    "accuracy": 0.8,
    "accuracy_low": 0.7,
    "accuracy_high": 0.9,
    "mcc": -0.1,
    "auroc": None,
    "brier_score": 0.25,
    "log_loss": None,
    "per_class": {"MONOCYTE": {"sensitivity": 0.5, "support": 4}},
}
TRAINING = {"model": "vgg16", "weights_requested": "imagenet", "weights_used": "imagenet"}


def gate(**changes: Any) -> GateParams:
    return validate(GateParams, RULES | changes, where="gate")


def predictions(right: list[bool], *, prefix: str = "image") -> Predictions:
    """Return predictions of so many images, alternately of either class, that are right where ``right`` says so."""
    truth = np.arange(len(right)) % 2
    chances = np.eye(2)[np.where(right, truth, 1 - truth)] * 0.8 + 0.1
    ids = [f"{prefix}{i}" for i in range(len(right))]
    return Predictions(ids, ids, truth, chances, CLASSES)


def hits(count: int) -> Predictions:
    """Return predictions of a hundred images that are right for the first ``count``."""
    return predictions([True] * count + [False] * (100 - count))


def write_predictions(folder: Path, made: Predictions) -> None:
    write_csv(folder / "predictions.csv", predictions_table(*made))


def champion(folder: Path, made: Predictions) -> Champion:
    write_predictions(folder, made)
    return Champion("main", folder)


def write_data(folder: Path, *, groups: str, parts: str, trained_on: str) -> Path:
    """Write a split whose images image0, image1, … have one letter each for group and part, and a training table."""
    names = {"r": "train", "v": "validation", "t": "test", "u": "unused"}
    images = [f"image{i}" for i in range(len(parts))]
    split = pd.DataFrame(
        {"id": images, "label": "NEUTROPHIL", "group": list(groups), "split": [names[part] for part in parts]}
    )
    write_csv(folder / "split.csv", split)
    sources = [f"image{number}" for number in trained_on]
    training = {"label": "NEUTROPHIL", "kind": "smote", "id": sources, "partner": sources[::-1], "copy": 0}
    write_csv(folder / "train.csv", pd.DataFrame(training))
    return folder


def test_a_value_at_its_threshold_passes_and_one_beyond_fails() -> None:
    rules = gate(
        overall={"accuracy": 0.8, "mcc": 0.0},
        per_class={"MONOCYTE": {"sensitivity": 0.51}},
        calibration={"brier_score": 0.25},
    )

    checks = list(check_thresholds(EVALUATION, gate=rules))

    assert checks == [
        Check("accuracy", "passed", measured=0.8, low=0.7, high=0.9, at_least=0.8),
        Check("mcc", "failed", measured=-0.1, at_least=0.0),
        Check("MONOCYTE.sensitivity", "failed", measured=0.5, at_least=0.51),
        Check("brier_score", "passed", measured=0.25, at_most=0.25),
    ]


def of_classes(**classes: tuple[float | None, int]) -> dict[str, Any]:
    """Return an evaluation of classes by (sensitivity, support), with the intervals of independent images."""
    scores: dict[str, Any] = {}
    for name, (value, support) in classes.items():
        interval = wilson_interval(value * support, support) if value is not None else None
        scores[name] = {"sensitivity": value, "specificity": 1.0, "support": support}
        if interval:
            scores[name] |= {"sensitivity_low": interval.low, "sensitivity_high": interval.high}
    return {"per_class": scores}


def outcomes(evaluation: dict[str, Any], **per_class: dict[str, float]) -> dict[str, str]:
    return {check.rule: check.outcome for check in check_thresholds(evaluation, gate=gate(per_class=per_class))}


def test_a_rule_for_every_class_judges_those_of_any_data_but_where_one_is_named() -> None:
    evaluation = of_classes(BAND=(0.6, 40), BLAST=(0.4, 40))
    assert outcomes(evaluation, every={"sensitivity": 0.5}) == {
        "BAND.sensitivity": "passed",
        "BLAST.sensitivity": "failed",
    }
    assert outcomes(evaluation, every={"sensitivity": 0.5, "specificity": 0.9}, blast={"sensitivity": 0.3}) == {
        "BLAST.sensitivity": "passed",
        "BLAST.specificity": "passed",
        "BAND.sensitivity": "passed",
        "BAND.specificity": "passed",
    }


def test_a_named_class_that_the_model_has_not_is_skipped_where_every_one_it_has_is_judged() -> None:
    evaluation = of_classes(BAND=(0.6, 40))
    assert outcomes(evaluation, MONOCYTE={"sensitivity": 0.5}) == {"MONOCYTE.sensitivity": "failed"}
    rules = gate(per_class={"every": {"sensitivity": 0.5}, "MONOCYTE": {"sensitivity": 0.7}})
    skipped, passed = check_thresholds(evaluation, gate=rules)
    assert (skipped.outcome, skipped.at_least) == ("skipped", 0.7)
    assert skipped.note == "the model does not know this class, but BAND"
    assert passed.outcome == "passed"


def test_the_rules_of_the_project_fit_any_classes() -> None:
    rules = read_section(GateParams, "gate", path=Path(__file__).parents[2] / "params.yaml")
    classes = ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")
    bccd = check_thresholds(of_classes(**dict.fromkeys(classes, (0.9, 20))), gate=rules)
    own = check_thresholds(of_classes(GIANTS=(0.9, 20), DWARFS=(0.8, 20)), gate=rules)
    floors = {check.rule: check.at_least for check in bccd if "." in check.rule}
    assert (floors["NEUTROPHIL.sensitivity"], floors["LYMPHOCYTE.sensitivity"]) == (0.70, 0.50)
    assert len(floors) == 4
    assert {check.rule: check.outcome for check in own if "." in check.rule} == {
        "NEUTROPHIL.sensitivity": "skipped",
        "LYMPHOCYTE.sensitivity": "skipped",
        "GIANTS.sensitivity": "passed",
        "DWARFS.sensitivity": "passed",
    }


@pytest.mark.parametrize(
    ("sensitivity", "support", "outcome"),
    [
        (1.0, 9, "passed"),  # 9 of 9 are at least 0.7 with 95 % confidence
        (0.5, 9, "failed"),
        (1.0, 8, "skipped"),  # 8 of 8 are not
        (0.5, 8, "skipped"),
        (0.0, 8, "failed"),  # but 0 of 8 are surely less
        (None, 0, "skipped"),
        (None, 9, "failed"),
    ],
)
def test_a_class_of_few_images_is_judged_only_where_they_can_tell(
    sensitivity: float | None, support: int, outcome: str
) -> None:
    evaluation = of_classes(BAND=(sensitivity, support), BLAST=(1.0, 40))
    rules = gate(per_class={"BAND": {"sensitivity": 0.7, "specificity": 0.7}})
    sensitive, specific = check_thresholds(evaluation, gate=rules)
    assert sensitive.outcome == outcome
    assert specific.outcome == "passed"  # that is of the 40 others
    if outcome == "skipped":
        assert f"{support} test images are too few to judge it: without an error" in sensitive.note


def test_a_value_of_1_has_the_interval_that_all_pages_show() -> None:
    older = {"sensitivity": 1.0, "sensitivity_low": 1.0, "sensitivity_high": 1.0}
    wilson = {"sensitivity_wilson_low": 0.65, "sensitivity_wilson_high": 1.0}
    rules = gate(per_class={"LYMPHOCYTE": {"sensitivity": 0.5}})

    (check,) = check_thresholds({"per_class": {"LYMPHOCYTE": older | wilson}}, gate=rules)

    assert (check.measured, check.low, check.high) == (1.0, 0.65, 1.0)


def test_bad_calibration_fails() -> None:
    assert list(check_thresholds(EVALUATION, gate=gate(calibration={"brier_score": 0.24}))) == [
        Check("brier_score", "failed", measured=0.25, at_most=0.24)
    ]


@pytest.mark.parametrize(
    "rules",
    [
        gate(overall={"kappa": -1.0}),
        gate(overall={"auroc": -1.0}),
        gate(per_class={"MONOCYTE": {"f1": -1.0}}),
        gate(per_class={"BLAST": {"f1": -1.0}}),
        gate(calibration={"log_loss": 99.0}),
        gate(calibration={"expected_calibration_error": 99.0}),
    ],
)
def test_an_absent_metric_fails_whatever_the_threshold(rules: GateParams) -> None:
    (check,) = check_thresholds(EVALUATION, gate=rules)

    assert (check.measured, check.outcome) == (None, "failed")


def test_an_evaluation_without_classes_has_none_of_their_metrics() -> None:
    (check,) = check_thresholds({"accuracy": 1.0}, gate=gate(per_class={"MONOCYTE": {"f1": 0.1}}))

    assert check.measured is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"overall": {"acuracy": 0.5}}, "gate.overall.acuracy"),
        ({"per_class": {"MONOCYTE": {"accuracy": 0.5}}}, "gate.per_class.MONOCYTE.accuracy"),
        ({"overall": {"accuracy": 80}}, "less than or equal to 1 (got 80)"),
        ({"overall": {"accuracy": float("nan")}}, "gate.overall.accuracy"),
        ({"overall": {"log_loss": 0.5}}, "gate.overall.log_loss"),
        ({"calibration": {"accuracy": 0.5}}, "gate.calibration.accuracy"),
        ({"calibration": {"log_loss": 0}}, "greater than 0 (got 0)"),
        ({"against": {"metric": "log_loss", "margin": 0.1, "judge": "difference"}}, "gate.against.metric"),
        ({"against": {"metric": "accuracy", "margin": -0.1, "judge": "difference"}}, "gate.against.margin"),
        ({"against": {"metric": "accuracy", "margin": 0.1, "judge": "p"}}, "gate.against.judge"),
        ({"against": {"metric": "accuracy", "margin": 0.1}}, "gate.against.judge: Field required"),
        ({"allow_leaky_split": True}, "gate.allow_leaky_split: Extra inputs are not permitted"),
    ],
)
def test_a_rule_that_can_never_be_met_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError) as error:
        gate(**changes)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("requested", "used", "allowed", "outcome"),
    [
        ("auto", "random", False, "failed"),
        ("auto", "random", True, "passed"),
        ("auto", "imagenet", False, "passed"),
        ("imagenet", "imagenet", False, "passed"),
        ("random", "random", False, "passed"),
    ],
)
def test_a_fall_back_to_random_weights_shuts_the_gate(requested: str, used: str, allowed: bool, outcome: str) -> None:
    training = {"model": "vgg16", "weights_requested": requested, "weights_used": used}
    check = check_weights(training, gate=gate(allow_random_weights=allowed))

    assert (check.rule, check.outcome) == ("weights", outcome)
    if outcome == "failed":
        assert check.note.startswith("vgg16 was trained from random weights, for its pretrained ones could not be had")
        assert "gate.allow_random_weights" in check.note


def test_weights_that_nobody_names_shut_the_gate() -> None:
    check = check_weights({"model": "vgg16"}, gate=gate(allow_random_weights=True))
    assert check == Check("weights", "failed", note="train.json does not name the weights that training started from")


@pytest.mark.parametrize("strategy", ["grouped", "predefined", "blocks"])
def test_a_split_that_keeps_groups_together_passes(strategy: str) -> None:
    assert check_split({"split_strategy": strategy}, gate=gate()) == Check("split", "passed")


def test_a_split_for_which_no_twins_were_sought_passes_with_a_word_about_it() -> None:
    check = check_split({"split_strategy": "grouped", "twins": "not sought"}, gate=gate())
    assert check.outcome == "passed"
    assert check.note.startswith("clean.twins is false: photographs of one cell may be on both sides")


@pytest.mark.parametrize("allowed", [False, True])
def test_nothing_lets_a_leaky_split_pass(allowed: bool) -> None:
    rules = gate(allow_random_split=allowed, allow_random_weights=allowed, allow_other_images=allowed)
    check = check_split({"split_strategy": "leaky", "accuracy": 0.99}, gate=rules)
    assert check.outcome == "failed"
    assert check.note == (
        "the split is leaky: the model was trained on views of test images, take -S split.strategy=grouped"
    )


def test_a_random_split_passes_only_if_it_may() -> None:
    refused = check_split({"split_strategy": "random"}, gate=gate())
    assert refused.outcome == "failed"
    assert refused.note.startswith("the split is random: photographs of one cell may be on both sides")
    assert check_split({"split_strategy": "random"}, gate=gate(allow_random_split=True)).outcome == "passed"


def test_a_split_that_nobody_names_shuts_the_gate() -> None:
    check = check_split({"accuracy": 0.99}, gate=gate(allow_random_split=True))
    assert check.outcome == "failed"
    assert check.note == "evaluation.json does not name the split: make it anew with `dvc repro -f evaluate`"


def test_groups_on_one_side_pass(tmp_path: Path) -> None:
    data = write_data(tmp_path, parts="ttrrvu", groups="aabbca", trained_on="23")
    assert check_leaks(predictions([True] * 2), data=data, gate=gate()) == Check("leaks", "passed")


def test_a_group_on_both_sides_shuts_the_gate(tmp_path: Path) -> None:
    data = write_data(tmp_path, parts="ttrrv", groups="abacc", trained_on="23")
    check = check_leaks(predictions([True] * 2), data=data, gate=gate())
    assert check == Check("leaks", "failed", note="groups are in more than one part of the split: a, c")
    assert check_leaks(predictions([True] * 2), data=data, gate=gate(allow_random_split=True)).outcome == "passed"


def test_training_on_views_of_test_images_shuts_the_gate(tmp_path: Path) -> None:
    data = write_data(tmp_path, parts="ttrr", groups="abcd", trained_on="123")
    check = check_leaks(predictions([True] * 2), data=data, gate=gate(allow_random_split=True))
    assert check == Check("leaks", "failed", note="images of the test part were trained on: image1")


def test_without_the_tables_of_this_split_leaks_are_not_checked(tmp_path: Path) -> None:
    absent = check_leaks(predictions([True] * 2), data=tmp_path, gate=gate())
    assert (absent.outcome, absent.note) == ("skipped", "split.csv and train.csv are not here: see the split's name")

    data = write_data(tmp_path, parts="ttrr", groups="aaaa", trained_on="01")
    other = check_leaks(predictions([True] * 3), data=data, gate=gate())
    assert (other.outcome, other.note) == ("skipped", "split.csv is of other results: see the split's name")


def test_a_model_as_good_as_the_champion_passes(tmp_path: Path) -> None:
    check = check_champion(hits(90), champion=champion(tmp_path, hits(90)), gate=gate())
    note = "difference of accuracy to main, paired on 100 images"
    assert check == Check("champion", "passed", measured=0.0, low=0.0, high=0.0, at_least=-0.05, note=note)


def test_a_model_worse_by_more_than_the_margin_fails(tmp_path: Path) -> None:
    check = check_champion(hits(84), champion=champion(tmp_path, hits(90)), gate=gate())
    assert check.outcome == "failed"
    assert check.measured == pytest.approx(-0.06)
    # Six of a hundred pairs differ, all one way: the difference is -Binomial(100, 0.06) / 100.
    assert (check.low, check.high) == pytest.approx((-0.11, -0.02), abs=0.011)
    assert check.note.endswith("paired on 100 images: it is below what is allowed")


def test_a_model_worse_by_the_margin_itself_passes_if_chance_would_do(tmp_path: Path) -> None:
    turned = predictions([True] * 80 + [False] * 15 + [True] * 5)
    check = check_champion(turned, champion=champion(tmp_path, hits(90)), gate=gate())
    assert check.measured == pytest.approx(-0.05)
    assert check.outcome == "passed"
    assert check.high is not None
    assert check.high > 0


def test_a_small_difference_that_is_beyond_chance_fails(tmp_path: Path) -> None:
    rules = gate(against={"metric": "accuracy", "margin": 0.1, "judge": "difference"})
    check = check_champion(hits(84), champion=champion(tmp_path, hits(90)), gate=rules)
    assert check.outcome == "failed"
    assert check.note.endswith("it is small, but its whole interval is below 0")


def test_the_lower_end_of_the_interval_can_be_judged(tmp_path: Path) -> None:
    turned = predictions([True] * 85 + [False] * 10 + [True] * 5)  # loses five images of the champion's and wins five
    best = champion(tmp_path, hits(90))
    against = {"metric": "accuracy", "margin": 0.05}
    by_difference = check_champion(turned, champion=best, gate=gate(against=against | {"judge": "difference"}))
    by_interval = check_champion(turned, champion=best, gate=gate(against=against | {"judge": "interval"}))
    assert (by_difference.outcome, by_interval.outcome) == ("passed", "failed")
    assert by_interval.measured == 0.0
    assert by_interval.low == pytest.approx(-0.06, abs=0.011)
    assert by_interval.note.endswith("its interval reaches below what is allowed")


def test_an_undefined_difference_fails(tmp_path: Path) -> None:
    alone = predictions([True] * 4)
    alone = alone._replace(truth=np.zeros(4, int))
    rules = gate(against={"metric": "kappa", "margin": 1, "judge": "difference"})
    check = check_champion(alone, champion=champion(tmp_path, alone), gate=rules)
    assert (check.outcome, check.measured) == ("failed", None)
    assert check.note.endswith("it is not defined")


def test_without_a_champion_there_is_nothing_to_compare() -> None:
    check = check_champion(hits(90), champion=None, gate=gate())
    assert check == Check("champion", "skipped", note="there is no champion to compare with")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (None, "main has no metrics/predictions.csv"),
        (predictions([True] * 99), "the models were tested on other images: 99 and 100, 99 of them common"),
        (predictions([True] * 100, prefix="photo"), "the models were tested on other images: 100 and 100, 0 of them"),
        (hits(90)._replace(classes=["BLAST", "NEUTROPHIL"]), "the models know other classes: BLAST, NEUTROPHIL;"),
    ],
)
def test_a_champion_tested_on_other_images_shuts_the_gate_unless_it_may(
    tmp_path: Path, made: Predictions | None, reason: str
) -> None:
    if made:
        write_predictions(tmp_path, made)
    best = Champion("main", tmp_path)

    refused = check_champion(hits(90), champion=best, gate=gate())
    assert refused.outcome == "failed"
    assert reason in refused.note
    assert refused.note.endswith("gate.allow_other_images: true judges by the other rules alone")

    allowed = check_champion(hits(90), champion=best, gate=gate(allow_other_images=True))
    assert allowed.outcome == "skipped"
    assert reason in allowed.note


def missing(*numbers: int) -> Predictions:
    """The predictions of a model that is wrong for the ``numbers`` of a hundred images."""
    return predictions([number not in numbers for number in range(100)])


def test_champions_do_not_walk_down(tmp_path: Path) -> None:
    best, worse = missing(*range(10)), missing(*range(20, 34))
    former = tuple(champion(tmp_path / str(number), made) for number, made in enumerate([worse, best, worse]))
    present = champion(tmp_path / "present", worse)._replace(former=former)
    model = missing(*range(40, 58))

    beside_present = check_champion(model, champion=present, gate=gate())
    [beside_best] = check_former(model, champion=present, gate=gate())

    assert (beside_present.outcome, beside_best.outcome) == ("passed", "failed")
    assert (beside_present.measured, beside_best.measured) == pytest.approx((-0.04, -0.08))
    assert beside_best.rule == "former champion"
    assert beside_best.note.endswith("paired on 100 images: it is below what is allowed")


@pytest.mark.parametrize(
    "made", [missing(*range(30)), hits(100)._replace(ids=[f"other{i}" for i in range(100)]), None, missing(*range(10))]
)
def test_a_former_champion_has_no_say_if_it_was_no_better_or_tested_elsewhere(
    tmp_path: Path, made: Predictions | None
) -> None:
    (tmp_path / "empty").mkdir()
    former = champion(tmp_path / "former", made) if made else Champion("v1", tmp_path / "empty")
    present = champion(tmp_path / "present", missing(*range(20, 30)))._replace(former=(former,))
    assert list(check_former(hits(50), champion=present, gate=gate())) == []


def test_without_a_champion_there_is_no_former_one() -> None:
    assert list(check_former(hits(90), champion=None, gate=gate())) == []


def test_a_table_from_before_groups_were_known_cannot_be_compared(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("id,truth,probability_A\n1,A,1.0\n")
    check = check_champion(hits(90), champion=Champion("v1", tmp_path), gate=gate())
    assert check.outcome == "failed"
    assert check.note.startswith("v1 cannot be compared with: these are no predictions of a model, group is missing")


def test_all_rules_are_judged_in_order(tmp_path: Path) -> None:
    results = tmp_path / "metrics"
    write_predictions(results, hits(80))
    for name, content in {"evaluation": EVALUATION, "train": TRAINING}.items():
        (results / f"{name}.json").write_text(json.dumps(content))

    checks = judge(results, data=tmp_path / "data", gate=gate(overall={"accuracy": 0.8}), champion=None)

    assert [(check.rule, check.outcome) for check in checks] == [
        ("accuracy", "passed"),
        ("weights", "passed"),
        ("split", "passed"),
        ("leaks", "skipped"),
        ("champion", "skipped"),
    ]
    assert is_open(checks)
    assert not is_open([*checks, Check("split", "failed")])


def test_results_without_predictions_name_the_way_out(tmp_path: Path) -> None:
    for name, content in {"evaluation": EVALUATION, "train": TRAINING}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"predictions.csv does not exist: make it with `dvc repro evaluate`"):
        judge(tmp_path, data=tmp_path, gate=gate(), champion=None)


def test_the_projects_own_rules_are_valid() -> None:
    params = read_section(GateParams, "gate", path=Path(__file__).parents[2] / "params.yaml")

    assert "accuracy" in params.overall
    assert set(params.calibration) == {"expected_calibration_error", "brier_score", "log_loss"}


def test_an_evaluation_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text('{"accuracy": 0.75}')

    assert read_metrics(path, stage="evaluate") == {"accuracy": 0.75}


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist: make it with `dvc repro evaluate`"), ("{", "is not valid JSON"), ("[]", "JSON object")],
)
def test_an_unusable_evaluation_names_the_way_out(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "evaluation.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ValueError) as error:
        read_metrics(path, stage="evaluate")
    assert str(path) in str(error.value)
    assert message in str(error.value)
