"""The commands of the workflow that judges a pull request, as its runner would run them in a clone without data."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from wbc.base.files import write_csv, write_json
from wbc.scores.predictions import predictions_table
from wbc.scores.scores import evaluate

WORKFLOWS = Path(__file__).parents[1] / ".github" / "workflows"
VENV = Path(sys.executable).parents[1]
CLASSES = ["EOSINOPHIL", "NEUTROPHIL"]
PARAMS = """\
model: vgg16
gate:
  allow_random_weights: false
  allow_random_split: false
  allow_other_images: false
  overall: {accuracy: 0.5}
  per_class: {}
  calibration: {brier_score: 1.9}
  against: {metric: accuracy, margin: 0.05, judge: difference}
"""
PIPELINE = """\
stages:
  train:
    cmd: echo not needed
    deps: [code.py]
    params: [model]
    outs:
    - models/model.keras
    - metrics/train.json: {cache: false}
  evaluate:
    cmd: echo not needed
    deps: [code.py, models/model.keras]
    outs:
    - data/split.csv
    - metrics/evaluation.json: {cache: false}
    - metrics/predictions.csv: {cache: false}
"""


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def write_results(folder: Path, *, right: int) -> None:
    """Write the results of a model that is right for so many of a hundred images."""
    truth = np.arange(100) % 2
    chances = np.eye(2)[np.where(np.arange(100) < right, truth, 1 - truth)] * 0.8 + 0.1
    ids = [str(i) for i in range(100)]
    write_csv(folder / "predictions.csv", predictions_table(ids, ids, truth, chances, CLASSES))
    write_json(folder / "evaluation.json", {"split_strategy": "grouped", **evaluate(truth, chances, classes=CLASSES)})
    write_json(folder / "train.json", {"model": "vgg16", "weights_requested": "random", "weights_used": "random"})


def commit(folder: Path, *, right: int) -> None:
    """Let the stages of the project have made these results, and commit them."""
    for file in ("data/split.csv", "models/model.keras"):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text("not needed")
    write_results(folder / "metrics", right=right)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    command = [VENV / "bin" / "dvc", "commit", "--force", "--quiet"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    git(folder, "add", ".")
    git(folder, "commit", "-m", "results")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a branch main, and a branch whose model is as good."""
    origin = tmp_path_factory.mktemp("origin")
    for folder in (".dvc", "metrics"):
        (origin / folder).mkdir()
    files = {"dvc.yaml": PIPELINE, "params.yaml": PARAMS, "code.py": "", ".gitignore": "/data/\n/models/\n/.venv\n"}
    files |= {".dvc/config": "", ".dvc/.gitignore": "/tmp\n/cache\n"}
    for name, content in files.items():
        (origin / name).write_text(content)
    git(origin, "init", "--initial-branch=main")
    commit(origin, right=90)
    git(origin, "switch", "--create", "branch")
    return origin


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Path:
    """A clone of that branch, without data."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", str(origin), str(folder))
    (folder / ".venv").symlink_to(VENV)
    return folder


def run_step(name: str, clone: Path) -> subprocess.CompletedProcess[str]:
    """Run the commands of one step of gate.yml as a runner does: see "shell" in GitHub's workflow syntax."""
    [job] = YAML(typ="safe").load(WORKFLOWS / "gate.yml")["jobs"].values()
    assert job["defaults"]["run"]["shell"] == "bash"
    [script] = [step["run"] for step in job["steps"] if step.get("name") == name]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    environment = inherited | {"BASE": "main", "GITHUB_STEP_SUMMARY": str(clone.parent / "summary.md")}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=300)


def test_a_pull_request_that_is_in_order_passes(clone: Path) -> None:
    lock, gate = (run_step(name, clone) for name in ("dvc.lock is current", "the gate"))

    assert lock.returncode == 0, lock.stdout + lock.stderr
    assert gate.returncode == 0, gate.stdout + gate.stderr
    summary = (clone.parent / "summary.md").read_text().splitlines()
    assert summary[0] == "### the gate is open: 5 checks passed, 1 skipped"
    assert "| champion | 0.0000 (0.000 to 0.000) | ≥ -0.05 | passed |" in summary
    assert not (clone / "mlflow.db").exists()


def test_a_pull_request_with_a_worse_model_is_refused(clone: Path) -> None:
    commit(clone, right=80)
    (clone / "data" / "split.csv").unlink()

    result = run_step("the gate", clone)

    assert result.returncode == 1
    summary = (clone.parent / "summary.md").read_text()
    assert "difference of accuracy to origin/main, paired on 100 images: it is below what is allowed" in summary


@pytest.mark.parametrize("file", ["code.py", "metrics/evaluation.json"])
def test_a_pull_request_without_a_repro_is_refused(clone: Path, file: str) -> None:
    with (clone / file).open("a") as edited:
        edited.write("\n")

    result = run_step("dvc.lock is current", clone)

    assert result.returncode == 1
    assert result.stdout.endswith("::error::dvc.lock or metrics/ are not current: run `dvc repro` and commit both\n")


@pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.name)
def test_actions_are_pinned_by_version(file: Path) -> None:
    jobs = YAML(typ="safe").load(file)["jobs"].values()
    actions = [step["uses"] for job in jobs for step in job["steps"] if "uses" in step]
    assert actions
    assert [action for action in actions if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+)*", action)] == []


def test_the_gate_runs_on_pull_requests_with_the_whole_history() -> None:
    workflow = YAML(typ="safe").load(WORKFLOWS / "gate.yml")
    assert workflow["on"] == "pull_request"
    assert workflow["permissions"] == {"contents": "read"}
    [checkout] = [step for step in workflow["jobs"]["gate"]["steps"] if "checkout" in step.get("uses", "")]
    assert checkout["with"] == {"fetch-depth": 0}
