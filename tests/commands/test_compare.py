"""`wbc compare` on a real MLflow store and on real DVC experiments, with made-up predictions."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from typer.testing import CliRunner, Result

from wbc.base.files import write_csv
from wbc.cli import app
from wbc.scores.predictions import predictions_table

BIN = Path(sys.executable).parent
CLASSES = ["EOSINOPHIL", "NEUTROPHIL"]
IMAGES = 40  # in one fold

PIPELINE = """\
stages:
  train:
    cmd: echo
    deps: [data/cells.npy, data/split.csv]
    outs: [models/model.keras]
"""
LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: echo
    deps:
    - {path: data/cells.npy, hash: md5, md5: cells, size: 1}
    - {path: data/split.csv, hash: md5, md5: split 0, size: 1}
    outs:
    - {path: models/model.keras, hash: md5, md5: model, size: 1}
"""

TOY_PARAMS = "model: good\nseed: 1\ndata: {source: toy}\nsplit: {strategy: grouped, folds: 5, fold: 0}\n"
TOY_PIPELINE = """\
stages:
  train:
    cmd: python toy.py train
    deps: [data/cells.npy, data/split.csv]
    params: [model, seed, data, split]
    outs:
    - models/model.keras
    - metrics/train.json: {cache: false}
  evaluate:
    cmd: python toy.py evaluate
    deps: [data/cells.npy, data/split.csv, models/model.keras]
    outs:
    - metrics/predictions.csv: {cache: false}
"""
TOY = """\
import sys
from pathlib import Path

if sys.argv[1] == "train":
    Path("models").mkdir(exist_ok=True)
    Path("metrics").mkdir(exist_ok=True)
    Path("models/model.keras").write_text(Path("params.yaml").read_text().split()[1])
    Path("metrics/train.json").write_text('{"weights_requested": "random", "weights_used": "random"}')
else:
    made = Path(Path("models/model.keras").read_text() + ".csv")
    Path("metrics/predictions.csv").write_text(made.read_text())
"""


def write_predictions(folder: Path, *, fold: int, hits: int) -> Path:
    """Write predictions.csv for the images of a fold, of which so many are right."""
    truth = np.arange(IMAGES) % 2
    chances = np.eye(2)[np.where(np.arange(IMAGES) < hits, truth, 1 - truth)] * 0.8 + 0.1
    ids = [f"{fold * IMAGES + number:05}" for number in range(IMAGES)]
    write_csv(folder / "predictions.csv", predictions_table(ids, ids, truth, chances, CLASSES))
    return folder / "predictions.csv"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with runs of three models on two folds, one of them leaky, and of one model on one fold."""
    from dvc.repo import Repo

    folder = tmp_path_factory.mktemp("store")
    Repo.init(str(folder), no_scm=True)
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "dvc.lock").write_text(LOCK)
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("wbc", artifact_location=(folder / "mlartifacts").as_uri())

    def record(model: str, *, fold: int, hits: int, strategy: str = "grouped") -> None:
        params = {"model": model, "seed": "1", "data.source": "toy", "split.folds": "2", "split.fold": str(fold)}
        params |= {"split.strategy": strategy}
        tags = {"dep.data/cells.npy": "cells", "dep.data/split.csv": f"split {fold}", "published.evaluate": "yes"}
        tags |= {"weights_requested": "auto", "weights_used": "random" if model == "poor" else "imagenet"}
        run = client.create_run(experiment, run_name=f"{model}-{fold}", tags=tags)
        metrics = [Metric("train_seconds", 61.0, 0, 0)]
        client.log_batch(run.info.run_id, metrics, [Param(key, value) for key, value in params.items()])
        client.log_artifact(run.info.run_id, str(write_predictions(folder, fold=fold, hits=hits)), "metrics")

    for fold in (0, 1):
        record("good", fold=fold, hits=36)
        record("poor", fold=fold, hits=30 - fold)
        record("leaker", fold=fold, hits=40, strategy="leaky")
    record("single", fold=0, hits=38)
    return folder


@pytest.fixture
def project(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("DVC_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(store)
    return store


def compare(*options: str, output: Path) -> Result:
    files = ["--output", str(output / "comparison.md"), "--figure", str(output / "figures" / "comparison.png")]
    return CliRunner().invoke(app, ["compare", "--metric", "accuracy", *options, *files])


def table(folder: Path) -> list[list[str]]:
    lines = (folder / "comparison.md").read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_models_on_the_same_folds_are_ranked_and_others_named_with_the_reason(project: Path, tmp_path: Path) -> None:
    result = compare(output=tmp_path)

    assert result.exit_code == 0, result.output
    header, _, good, poor = table(tmp_path)
    best, worse = (dict(zip(header, row, strict=True)) for row in (good, poor))
    assert (best["model"], best["weights"], best["source"], best["split"]) == ("`good`", "imagenet", "toy", "grouped")
    assert best["accuracy (95 %)"].startswith("0.900 (0.8")
    assert worse["accuracy (95 %)"].startswith("0.738 (0.6")
    assert worse["weights"] == "**random**, no ImageNet"
    assert worse["against the best (95 %)"].startswith("-0.162 (-0.2")
    assert worse["p"] == "<0.001"
    assert worse["train stage, s"] == "61"
    assert worse["run"] == "2 runs"
    assert "p, McNemar" not in header
    text = (tmp_path / "comparison.md").read_text()
    assert "2 test parts (toy, split grouped, seed 1, folds 0, 1), 80 images of one seed." in text
    assert "Left out, its split is leaky, it was trained on views of test images: leaker (2 runs)." in text
    assert "Left out, its configuration was tested on toy, split grouped, seed 1, fold 0: single (single-0)." in text
    assert "](figures/comparison.png)" in text
    assert cv2.imread(str(tmp_path / "figures" / "comparison.png")).shape[1] == 800
    for words in ("good", "random, no", "0.738", "leaker (2 runs)"):
        assert words in result.output


def test_runs_that_do_not_go_together_are_refused_and_nothing_is_written(project: Path, tmp_path: Path) -> None:
    for options, reason in {
        "--run good-0 --run poor-1": "poor-1: its configuration was tested on toy, split grouped, seed 1, fold 1",
        "--run good-0 --run leaker-0": "leaker-0: its split is leaky",
        "--model leaker": "leaker-0: its split is leaky",
        "--run nobody": "no recorded run of nobody",
        "--metric luck": "no metric 'luck'",
    }.items():
        result = compare(*options.split(), output=tmp_path)
        assert result.exit_code == 2, options
        assert reason in result.output
    assert list(tmp_path.iterdir()) == []


def test_named_models_are_compared_on_what_they_have_in_common(project: Path, tmp_path: Path) -> None:
    result = compare("--model", "single", "--model", "good", output=tmp_path)

    assert result.exit_code == 0, result.output
    header, _, single, good = table(tmp_path)
    assert [single[0], good[0]] == ["`single`", "`good`"]
    assert dict(zip(header, good, strict=True))["p, McNemar"] == "0.500"
    text = (tmp_path / "comparison.md").read_text()
    assert "Left out, its configuration was tested on toy, split grouped, seed 1, folds 0, 1: good (good-1)." in text


def test_the_text_round_the_table_stays(project: Path, tmp_path: Path) -> None:
    (tmp_path / "comparison.md").write_text("before\n<!-- table -->\nthe former one\n<!-- end of table -->\nafter\n")

    compare("--where", "model=good", output=tmp_path)

    text = (tmp_path / "comparison.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "former" not in text
    assert [row[0] for row in table(tmp_path)[2:]] == ["`good`"]


def run(*command: str, folder: Path) -> None:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    environment = inherited | {"PATH": f"{BIN}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


def test_experiments_of_dvc_are_compared_from_git(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("experiments")
    for name, content in {"toy.py": TOY, "dvc.yaml": TOY_PIPELINE, "params.yaml": TOY_PARAMS}.items():
        (folder / name).write_text(content)
    for name, hits in {"good": 36, "poor": 30}.items():
        write_predictions(folder, fold=0, hits=hits).rename(folder / f"{name}.csv")
    (folder / "data").mkdir()
    for name in ("cells.npy", "split.csv"):
        (folder / "data" / name).write_text(name)
    for command in ("git init", "git config user.name toy", "git config user.email toy@localhost", "dvc init"):
        run(*command.split(), folder=folder)
    run("dvc", "repro", folder=folder)
    run("git", "add", ".", folder=folder)
    run("git", "commit", "-m", "a project", folder=folder)
    run("dvc", "exp", "run", "--temp", "--name", "lucky", "-S", "model=poor", folder=folder)
    run("dvc", "exp", "run", "--temp", "--name", "stopped", "-S", "model=untested", "train", folder=folder)
    monkeypatch.chdir(folder)

    result = compare("--experiments", output=tmp_path)

    assert result.exit_code == 0, result.output
    header, _, *rows = table(tmp_path)
    assert [row[0] for row in rows] == ["`good`", "`poor`"]
    assert [row[header.index("run")] for row in rows] == ["HEAD", "lucky"]
    assert (
        "Left out, it has no results of its own parameters: evaluate has not run on the models/model.keras that train "
        "made: untested (stopped)."
    ) in (tmp_path / "comparison.md").read_text()
    result = compare("--experiments", "--run", "stopped", output=tmp_path)
    assert result.exit_code == 2
    assert "stopped: it has no results of its own parameters" in result.output
    result = compare("--experiments", "--run", "lucky", output=tmp_path)
    assert [row[0] for row in table(tmp_path)[2:]] == ["`poor`"], result.output
