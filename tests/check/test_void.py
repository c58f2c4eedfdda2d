from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from wbc.base.params import ParamsError
from wbc.check.void import RULES
from wbc.check.whole import check_params

ROOT = Path(__file__).parents[2]
NO_VIEWS = {"augment.copies": 0}
REPEATED = {"augment.balance": "repeat"}


def check(folder: Path, changes: dict[str, Any]) -> None:
    content = YAML(typ="safe").load(ROOT / "params.yaml")
    for key, value in changes.items():
        section, name = key.split(".")
        content[section][name] = value
    YAML(typ="safe").dump(content, folder / "params.yaml")
    check_params(folder / "params.yaml")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.reason)
def test_the_usual_values_are_those_of_params(rule: Any) -> None:
    content = YAML(typ="safe").load(ROOT / "params.yaml")
    found = {key: reduce(lambda section, name: section[name], key.split("."), content) for key in rule.usual}
    assert found == rule.usual


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"clean.crop": "whole", "clean.window": 90}, "clean.window"),
        (NO_VIEWS | {"augment.rotation": 10}, "augment.rotation"),
        (NO_VIEWS | {"augment.shift": 0}, "augment.shift"),
        (NO_VIEWS | {"augment.shear": 0.1}, "augment.shear"),
        (NO_VIEWS | {"augment.scale": 0.1}, "augment.scale"),
        (NO_VIEWS | {"augment.flips": False}, "augment.flips"),
        (NO_VIEWS | {"augment.brightness": 0.1}, "augment.brightness"),
        (NO_VIEWS | {"augment.colour": 0.1}, "augment.colour"),
        (NO_VIEWS | {"augment.stain": 0.2}, "augment.stain"),
        (NO_VIEWS | {"augment.order": "balance_first"}, "augment.order"),
        ({"augment.balance": "none", "augment.order": "balance_first"}, "augment.order"),
        (NO_VIEWS | {"augment.balance": "none", "augment.target_per_class": 900}, "augment.target_per_class"),
        (REPEATED | {"augment.space": "pca"}, "augment.space"),
        (REPEATED | {"augment.neighbours": 3}, "augment.neighbours"),
        ({"augment.balance": "none", "augment.neighbours": 3}, "augment.neighbours"),
        ({"train.class_weights": True}, "train.class_weights"),
        (REPEATED | {"train.class_weights": True}, "train.class_weights"),
        ({"train.probe_learning_rate": 0.1}, "train.probe_learning_rate"),
    ],
    ids=str,
)
def test_a_setting_that_another_makes_void_is_refused(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ParamsError) as caught:
        check(tmp_path, changes)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"params.yaml: {key}: ")
    assert line.endswith(", or change the latter")


@pytest.mark.parametrize(
    "changes",
    [
        {"clean.crop": "whole"},
        NO_VIEWS,
        NO_VIEWS | {"augment.balance": "none"},
        NO_VIEWS | {"augment.balance": "none", "augment.target_per_class": None},
        NO_VIEWS | {"augment.target_per_class": 900},
        {"augment.balance": "none", "train.class_weights": True},
        {"augment.balance": "borderline_smote", "train.class_weights": True},  # it may leave a class as it is
        {"augment.balance": "svm_smote", "augment.space": "pca", "augment.neighbours": 3},
        {"augment.order": "balance_first"},
        {"train.probe_epochs": 2, "train.probe_learning_rate": 0.1},
    ],
    ids=str,
)
def test_what_counts_is_accepted(tmp_path: Path, changes: dict[str, Any]) -> None:
    check(tmp_path, changes)


def test_the_reason_and_the_way_out_are_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        check(tmp_path, {"train.class_weights": True, "train.probe_learning_rate": 0.1})
    assert str(caught.value).splitlines() == [
        'params.yaml: train.class_weights: true is void with augment.balance: "smote", for classes of the same size '
        "all weigh 1: leave it at false, or change the latter",
        "params.yaml: train.probe_learning_rate: 0.1 is void with train.probe_epochs: 0, for there is no probing phase"
        ": leave it at 0.001, or change the latter",
    ]
