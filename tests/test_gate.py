from pathlib import Path
from typing import Any

import pytest

from wbc.gate import Check, check_gate, check_split, check_weights, read_metrics
from wbc.params.base import ParamsError, read_section, validate
from wbc.params.gate import GateParams

EVALUATION: dict[str, Any] = {
    "accuracy": 0.8,
    "mcc": -0.1,
    "auroc": None,
    "per_class": {"MONOCYTE": {"sensitivity": 0.5, "support": 4}},
}


def gate(overall: dict[str, float] | None = None, per_class: dict[str, dict[str, float]] | None = None) -> GateParams:
    content = {"allow_random_weights": False, "overall": overall or {}, "per_class": per_class or {}}
    return validate(GateParams, content, where="gate")


def test_a_value_at_its_threshold_passes_and_one_below_is_missed() -> None:
    checks = check_gate(EVALUATION, gate=gate({"accuracy": 0.8, "mcc": 0.0}, {"MONOCYTE": {"sensitivity": 0.51}}))

    assert checks == [
        Check(metric="accuracy", required=0.8, measured=0.8),
        Check(metric="mcc", required=0.0, measured=-0.1),
        Check(metric="MONOCYTE.sensitivity", required=0.51, measured=0.5),
    ]
    assert [check.passed for check in checks] == [True, False, False]


@pytest.mark.parametrize(
    "params",
    [
        gate({"kappa": -1.0}),
        gate({"auroc": -1.0}),
        gate(per_class={"MONOCYTE": {"f1": -1.0}}),
        gate(per_class={"BLAST": {"f1": -1.0}}),
    ],
)
def test_an_absent_metric_is_missed_whatever_the_threshold(params: GateParams) -> None:
    (check,) = check_gate(EVALUATION, gate=params)

    assert check.measured is None
    assert not check.passed


def test_an_evaluation_without_classes_has_none_of_their_metrics() -> None:
    (check,) = check_gate({"accuracy": 1.0}, gate=gate(per_class={"MONOCYTE": {"f1": 0.1}}))

    assert check.measured is None


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"overall": {"acuracy": 0.5}, "per_class": {}}, "gate.overall.acuracy"),
        ({"overall": {}, "per_class": {"MONOCYTE": {"accuracy": 0.5}}}, "gate.per_class.MONOCYTE.accuracy"),
        ({"overall": {"accuracy": 80}, "per_class": {}}, "less than or equal to 1 (got 80)"),
        ({"overall": {"accuracy": float("nan")}, "per_class": {}}, "gate.overall.accuracy"),
        ({"overall": {}}, "gate.per_class: Field required"),
    ],
)
def test_a_threshold_that_can_never_be_met_is_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError) as error:
        validate(GateParams, section, where="gate")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("requested", "used", "allowed", "refused"),
    [
        ("auto", "random", False, True),
        ("auto", "random", True, False),
        ("auto", "imagenet", False, False),
        ("imagenet", "imagenet", False, False),
        ("random", "random", False, False),
    ],
)
def test_a_fall_back_to_random_weights_shuts_the_gate(requested: str, used: str, allowed: bool, refused: bool) -> None:
    training = {"model": "vgg16", "weights_requested": requested, "weights_used": used}
    refusal = check_weights(training, gate=gate().model_copy(update={"allow_random_weights": allowed}))

    assert (refusal is not None) == refused
    if refusal:
        assert refusal.startswith("vgg16 was trained from random weights, for its pretrained ones could not be had")
        assert "gate.allow_random_weights" in refusal


def test_a_leaky_split_shuts_the_gate() -> None:
    refusal = check_split({"split_strategy": "leaky", "accuracy": 0.99})
    assert (
        refusal == "the split is leaky: the model was trained on views of test images, take -S split.strategy=grouped"
    )
    assert check_split({"split_strategy": "grouped"}) is None


def test_the_projects_own_thresholds_are_valid() -> None:
    params = read_section(GateParams, "gate", path=Path(__file__).parents[1] / "params.yaml")

    assert "accuracy" in params.overall


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
