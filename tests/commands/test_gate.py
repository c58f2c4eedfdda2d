import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.locks import write_lock
from wbc.base.files import write_csv, write_json
from wbc.cli import app
from wbc.scores.predictions import predictions_table
from wbc.scores.scores import evaluate

CLASSES = ["MONOCYTE", "NEUTROPHIL"]
RULES: dict[str, Any] = {
    "allow_random_weights": False,
    "allow_random_split": False,
    "allow_other_images": False,
    "overall": {"accuracy": 0.8},
    "per_class": {"MONOCYTE": {"sensitivity": 0.5}},
    "calibration": {"brier_score": 0.5},
    "against": {"metric": "accuracy", "margin": 0.05, "judge": "difference"},
}


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *identity, *arguments], capture_output=True, check=True)


def gate(*options: str) -> Result:
    return CliRunner().invoke(app, ["gate", *options])


def write_results(folder: Path, *, right: int, images: int = 100, strategy: str = "grouped") -> None:
    """Write the results of a model that is right for the first ``right`` images, alternately of two classes."""
    truth = np.arange(images) % 2
    chances = np.eye(2)[np.where(np.arange(images) < right, truth, 1 - truth)] * 0.8 + 0.1
    ids = [str(i) for i in range(images)]
    write_csv(folder / "predictions.csv", predictions_table(ids, ids, truth, chances, CLASSES))
    scores = {"split_strategy": strategy, **evaluate(truth, chances, classes=CLASSES)}
    write_json(folder / "evaluation.json", scores)
    write_json(folder / "train.json", {"model": "vgg16", "weights_requested": "imagenet", "weights_used": "imagenet"})
    write_lock(folder.parent)


def write_rules(folder: Path, **changes: Any) -> None:
    YAML(typ="safe").dump({"model": "vgg16", "gate": RULES | changes}, folder / "params.yaml")


def rows(output: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a project of nothing but rules, with neither DVC nor MLflow in the environment."""
    for name in [name for name in os.environ if name.startswith(("DVC_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    write_rules(tmp_path)
    return tmp_path


@pytest.fixture
def repository(folder: Path) -> Path:
    """A project in git whose branch main holds the results of a model that is right for 90 of 100 images."""
    write_results(folder / "metrics", right=90)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").touch()
    (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    git("init", "--initial-branch=main")
    git("add", ".")
    git("commit", "-m", "results")
    git("switch", "--create", "branch")
    return folder


def test_the_gate_opens_when_every_rule_is_met(folder: Path) -> None:
    write_results(folder / "metrics", right=80)

    result = gate()

    assert result.exit_code == 0, result.output
    assert rows(result.stdout) == [
        ["accuracy", "0.8000", "≥ 0.8", "passed"],
        ["MONOCYTE.sensitivity", "0.8000", "≥ 0.5", "passed"],
        ["brier_score", "0.3400", "≤ 0.5", "passed"],
        ["weights", "", "", "passed"],
        ["split", "", "", "passed"],
        ["leaks", "", "", "skipped"],
        ["champion", "", "", "skipped"],
    ]
    assert result.stdout.splitlines()[-3:] == [
        "leaks: split.csv and train.csv are not here: see the split's name",
        "champion: there is no champion to compare with",
        "the gate is open: 5 checks passed, 2 skipped",
    ]
    assert not (folder / "mlflow.db").exists()


def test_the_gate_stays_shut_when_a_threshold_is_missed_or_its_metric_absent(folder: Path) -> None:
    write_results(folder / "metrics", right=79)
    write_rules(folder, per_class={"BLAST": {"sensitivity": 0.5}})

    result = gate()

    assert result.exit_code == 1
    assert rows(result.stdout)[:2] == [
        ["accuracy", "0.7900", "≥ 0.8", "failed"],
        ["BLAST.sensitivity", "absent", "≥ 0.5", "failed"],
    ]
    assert result.stdout.endswith("the gate is shut: 2 of 7 checks failed, 2 skipped\n")


def test_the_gate_stays_shut_for_a_leaky_split(folder: Path) -> None:
    write_results(folder / "metrics", right=100, strategy="leaky")

    result = gate()

    assert result.exit_code == 1
    assert "split: the split is leaky: the model was trained on views of test images" in result.stdout


def test_the_gate_judges_another_folder_by_another_file_when_told(folder: Path) -> None:
    demo = folder / "experiments" / "demo"
    write_results(demo, right=70)
    write_rules(demo, overall={"accuracy": 0.7}, per_class={})
    write_lock(demo, metrics=demo)

    result = gate("--metrics", "experiments/demo", "--params", "experiments/demo/params.yaml")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("judged: experiments/demo, no commit, model vgg16-abcdef\n")
    assert rows(result.stdout)[0] == ["accuracy", "0.7000", "≥ 0.7", "passed"]


def test_results_of_other_parameters_or_of_another_model_are_not_judged(folder: Path) -> None:
    write_results(folder / "metrics", right=100)
    write_lock(folder, train={"model": "resnet50"})
    of_other_parameters = gate()
    write_lock(folder)
    write_results(folder / "elsewhere", right=99)
    of_another_model = gate("--metrics", "elsewhere")

    assert (of_other_parameters.exit_code, of_another_model.exit_code) == (2, 2)
    assert of_other_parameters.stderr == (
        "metrics has no results of its own parameters: train ran with model=resnet50, params.yaml has vgg16: "
        "make them with `dvc repro evaluate`\n"
    )
    assert of_another_model.stderr == (
        "elsewhere has no results of its own parameters: metrics/evaluation.json is not the one that evaluate made: "
        "make them with `dvc repro evaluate`\n"
    )


def test_a_revision_with_the_results_of_another_run_is_not_compared_with(repository: Path) -> None:
    write_lock(repository, train={"model": "resnet50"})
    git("commit", "--all", "-m", "another model without a run")
    write_lock(repository)

    result = gate("--against", "HEAD")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("HEAD has no results of its own parameters: train ran with model=resnet50")


def test_the_verdict_as_json(folder: Path) -> None:
    write_results(folder / "metrics", right=79)

    to_file = gate("--json", "verdict.json")
    to_output = gate("--json", "-")

    assert (to_file.exit_code, to_output.exit_code) == (1, 1)
    verdict = json.loads((folder / "verdict.json").read_text())
    assert json.loads(to_output.stdout) == verdict
    assert (verdict["passed"], verdict["champion"]) == (False, None)
    assert verdict["judged"] == "metrics, no commit, model vgg16-abcdef"
    assert verdict["checks"][0] == {
        "rule": "accuracy",
        "outcome": "failed",
        "measured": 0.79,
        "low": None,
        "high": None,
        "at_least": 0.8,
        "at_most": None,
        "note": "",
    }
    assert [check["outcome"] for check in verdict["checks"]].count("failed") == 1


def test_the_summary_is_appended_in_markdown(folder: Path) -> None:
    write_results(folder / "metrics", right=80)
    (folder / "summary.md").write_text("before\n")

    result = gate("--summary", "summary.md")

    assert result.exit_code == 0, result.stderr
    lines = (folder / "summary.md").read_text().splitlines()
    assert lines[:6] == [
        "before",
        "### the gate is open: 5 checks passed, 2 skipped",
        "",
        "| rule | measured (95 % interval) | required | outcome |",
        "| --- | --- | --- | --- |",
        "| accuracy | 0.8000 | ≥ 0.8 | passed |",
    ]
    assert "- champion: there is no champion to compare with" in lines
    assert lines[-1] == "Judged: metrics, no commit, model vgg16-abcdef."


def test_the_same_model_is_as_good_as_that_of_another_revision(repository: Path) -> None:
    result = gate("--against", "main")

    assert result.exit_code == 0, result.output
    assert rows(result.stdout)[-1] == ["champion", "0.0000 (0.000 to 0.000)", "≥ -0.05", "passed"]
    assert "champion: difference of accuracy to main, paired on 100 images" in result.stdout


def test_a_model_worse_than_that_of_another_revision_is_refused(repository: Path) -> None:
    write_results(repository / "metrics", right=84)

    result = gate("--against", "main", "--json", "verdict.json")

    assert result.exit_code == 1
    verdict = json.loads((repository / "verdict.json").read_text())
    assert verdict["champion"] == "main"
    [failed] = [check for check in verdict["checks"] if check["outcome"] == "failed"]
    assert failed["measured"] == pytest.approx(-0.06)
    assert failed["note"] == "difference of accuracy to main, paired on 100 images: it is below what is allowed"


def test_a_model_tested_on_other_images_is_refused_unless_the_rules_allow_it(repository: Path) -> None:
    write_results(repository / "metrics", right=90, images=99)

    refused = gate("--against", "main")
    write_rules(repository, allow_other_images=True)
    allowed = gate("--against", "main")

    assert (refused.exit_code, allowed.exit_code) == (1, 0)
    assert "main cannot be compared with: the models were tested on other images: 100 and 99" in refused.stdout
    assert rows(allowed.stdout)[-1] == ["champion", "", "", "skipped"]


def test_a_revision_without_results_cannot_be_compared_with(repository: Path) -> None:
    git("rm", "-r", "--cached", "metrics")
    git("commit", "-m", "no results")

    result = gate("--against", "HEAD")

    assert result.exit_code == 1
    assert "champion: HEAD has no metrics/predictions.csv" in result.stdout


def test_an_unknown_revision_is_one_line_without_a_traceback(repository: Path) -> None:
    result = gate("--against", "mian")

    assert (result.exit_code, result.stderr) == (2, "unknown Git revision 'mian'\n")


def test_a_gate_without_an_evaluation_says_how_to_make_one(folder: Path) -> None:
    write_lock(folder)

    result = gate()

    assert result.exit_code == 2
    assert result.stderr == (
        "metrics/evaluation.json does not exist: make it with `dvc repro evaluate`, "
        "or bring it back with `git restore metrics/evaluation.json`\n"
    )


def test_a_wrong_rule_is_one_line_without_a_traceback(folder: Path) -> None:
    write_results(folder / "metrics", right=80)
    write_rules(folder, overall={"accuracy": 80})

    result = gate()

    assert result.exit_code == 2
    assert result.stderr == "params.yaml: gate.overall.accuracy: Input should be less than or equal to 1 (got 80)\n"


def test_a_registry_that_cannot_be_reached_is_no_reason_to_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")
    write_results(folder / "metrics", right=100)

    result = gate()

    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("MLflow cannot name the champion (OperationalError")
    assert line.endswith("compare with a git revision by --against")
