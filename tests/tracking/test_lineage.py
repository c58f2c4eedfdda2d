"""Results count for the parameters beside them only where dvc.lock says that they were made of these."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from wbc.tracking.lineage import StaleResultsError, explain_staleness, name_model, require_current

PARAMS: dict[str, Any] = {
    "model": "small",
    "data": {"source": "smears"},
    "models": {"small": {"epochs": 3}, "large": {"epochs": 9}},
    "gate": {"accuracy": 0.5},
}


def write_yaml(path: Path, content: object) -> None:
    YAML(typ="safe").dump(content, path)


def out(path: str, md5: str = "first") -> dict[str, str]:
    return {"path": path, "md5": md5}


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The stages of dvc.lock in the working directory, a project whose pipeline has run with PARAMS."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()
    made = {}
    for name in ("train.json", "evaluation.json"):
        (tmp_path / "metrics" / name).write_text(name)
        made[name] = out(f"metrics/{name}", hashlib.md5(name.encode()).hexdigest())
    stages: dict[str, Any] = {
        "check": {"params": {"params.yaml": PARAMS}, "outs": [out("data/params-checked.txt")]},
        "download": {"params": {"params.yaml": {"data": PARAMS["data"]}}, "outs": [out("data/raw", "first.dir")]},
        "train": {
            "deps": [
                out("data/params-checked.txt"),
                out("data/raw", "first.dir"),
                out("wbc/train/training.py", "code"),
            ],
            "params": {"params.yaml": {"model": "small", "models.small": {"epochs": 3}}},
            "outs": [out("models/model.keras"), made["train.json"]],
        },
        "evaluate": {
            "deps": [out("models/model.keras")],
            "outs": [made["evaluation.json"], out("metrics/evaluation.md"), out("metrics/figures/evaluate", "1.dir")],
        },
        "explain": {"deps": [out("models/model.keras")], "outs": []},
    }
    write_yaml(Path("params.yaml"), PARAMS)
    write_yaml(Path("dvc.lock"), {"schema": "2.0", "stages": stages})
    return stages


def rewrite(stages: dict[str, Any]) -> None:
    write_yaml(Path("dvc.lock"), {"schema": "2.0", "stages": stages})


def test_what_the_pipeline_has_just_made_counts(lock: dict[str, Any]) -> None:
    assert explain_staleness() == ""
    require_current(stages=("train", "evaluate", "explain"))
    assert name_model() == "small-first"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"model": "large"}, "train ran with model=small, params.yaml has large"),
        ({"models": {"small": {"epochs": 4}}}, "train ran with models.small.epochs=3, params.yaml has 4"),
        ({"models": {"small": {"epochs": 3, "l2": 0.1}}}, "train ran with models.small.l2=None, params.yaml has 0.1"),
        ({"models": {}}, "train ran with models.small.epochs=3, params.yaml has None"),
        ({"data": {"source": "bccd"}}, "download ran with data.source=smears, params.yaml has bccd"),
        ({"models": {"small": {"epochs": 3}, "large": {"epochs": 1}}}, ""),
        ({"gate": {"accuracy": 0.9}}, ""),
    ],
)
def test_only_parameters_that_a_stage_ran_with_count(
    lock: dict[str, Any], changed: dict[str, Any], reason: str
) -> None:
    write_yaml(Path("params.yaml"), PARAMS | changed)

    assert explain_staleness() == reason


@pytest.mark.parametrize(
    ("stage", "number", "reason"),
    [
        ("train", 0, "evaluate has not run on the models/model.keras that train made"),
        ("download", 0, "train has not run on the data/raw that download made"),
    ],
)
def test_a_stage_that_did_not_run_on_what_came_before_has_no_results(
    lock: dict[str, Any], stage: str, number: int, reason: str
) -> None:
    lock[stage]["outs"][number]["md5"] = "second"
    rewrite(lock)

    assert explain_staleness() == reason
    with pytest.raises(StaleResultsError, match=f"a trial has no results of its own parameters: {reason}"):
        require_current(name="a trial")


def test_a_later_stage_may_be_behind_alone(lock: dict[str, Any]) -> None:
    lock["explain"]["deps"][0]["md5"] = "earlier"
    rewrite(lock)

    assert explain_staleness() == ""
    assert explain_staleness(stage="explain") == "explain has not run on the models/model.keras that train made"
    assert explain_staleness(stage="external") == "external has not run"


def test_files_are_the_ones_that_the_stage_made(lock: dict[str, Any]) -> None:
    Path("metrics/train.json").write_text("of another run")

    assert explain_staleness() == "metrics/train.json is not the one that train made"


def test_a_copy_is_judged_by_the_lock_beside_it(lock: dict[str, Any], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    Path("metrics").rename(copy)
    for name in ("params.yaml", "dvc.lock"):
        Path(name).rename(copy / name)

    assert explain_staleness(copy, home=copy) == ""
    assert explain_staleness(copy) == "there is no dvc.lock to say what they are of"


@pytest.mark.parametrize("text", ["", "stages: 3", "<<<<<<< ours\nstages: {}"])
def test_a_lock_that_names_no_stages_is_one_line(lock: dict[str, Any], text: str) -> None:
    Path("dvc.lock").write_text(text)

    with pytest.raises(ValueError, match=r"^dvc\.lock (names no stages|is not valid YAML)"):
        explain_staleness()
