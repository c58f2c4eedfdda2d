import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner

from wbc.cli import app

BIN = Path(sys.executable).parent


def run(command: str, *, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``command`` as a person would in ``folder``, whatever pipeline this test is itself part of."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    environment = inherited | {"PATH": f"{BIN}:{os.environ['PATH']}"} | variables
    return subprocess.run(command.split(), cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of one stage that has run."""
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "dvc.yaml").write_text("stages: {download: {cmd: cp dvc.yaml raw, outs: [raw]}}")
    for command in ("git init", "dvc init", "dvc repro"):
        result = run(command, folder=folder)
        assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_help_imports_nothing_heavy() -> None:
    check = "import sys, wbc.cli; print(sorted({'mlflow', 'tensorflow', 'pandas', 'dvc', 'numpy'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(("stage", "status"), [("download", 0), ("", 1)])
def test_an_unreachable_server_never_fails_a_running_stage(pipeline: Path, stage: str, status: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"http://127.0.0.1:{server.getsockname()[1]}"
    variables = {"DVC_STAGE": stage} if stage else {}
    started = time.monotonic()

    result = run("wbc publish download", folder=pipeline, MLFLOW_TRACKING_URI=closed, **variables)

    assert result.returncode == status
    assert time.monotonic() - started < 40
    (warning,) = result.stderr.splitlines()
    assert warning.startswith("MLflow unreachable")
    assert warning.endswith("run `wbc publish` later")


def test_a_server_that_never_answers_costs_seconds(pipeline: Path, silent_server: str) -> None:
    started = time.monotonic()

    result = run("wbc publish download", folder=pipeline, MLFLOW_TRACKING_URI=silent_server, DVC_STAGE="download")

    assert result.returncode == 0
    assert time.monotonic() - started < 40
    assert len(result.stderr.splitlines()) == 1


def test_a_database_that_cannot_be_opened_costs_seconds(pipeline: Path) -> None:
    started = time.monotonic()

    result = run(
        "wbc publish download",
        folder=pipeline,
        MLFLOW_TRACKING_URI="sqlite:////dev/null/mlflow.db",
        DVC_STAGE="download",
    )

    assert result.returncode == 0
    assert time.monotonic() - started < 40
    assert len(result.stderr.splitlines()) == 1


def test_an_unknown_stage_names_the_known_ones(pipeline: Path) -> None:
    result = run("wbc publish trian", folder=pipeline)

    assert result.returncode == 2
    assert result.stderr == "no stage 'trian' to publish: there are download\n"


def test_publish_fills_in_what_an_unreachable_server_missed(pipeline: Path) -> None:
    result = run("wbc publish", folder=pipeline)

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("download: published in run download-")
    client = MlflowClient(f"sqlite:///{pipeline}/mlflow.db")
    experiment = client.get_experiment_by_name("wbc-data")
    assert experiment is not None
    assert [run.data.tags["stage"] for run in client.search_runs([experiment.experiment_id])] == ["download"]


@pytest.mark.parametrize(
    "command",
    [
        "report --output params.yaml",
        "model-card --output photograph.jpg",
        "compare --output params.yaml",
        "compare --figure photograph.jpg",
        "gate --json params.yaml",
        "gate --json metrics/evaluation.json",
    ],
)
def test_an_output_that_cannot_be_meant_stays_as_it_is(recorded: Path, command: str) -> None:
    (recorded / "photograph.jpg").write_bytes(b"a photograph")
    before = {path: path.read_bytes() for path in recorded.rglob("*") if path.is_file()}
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 2
    assert re.search(
        "must be a file that ends in|is one of the results that are judged", " ".join(result.output.split())
    )
    assert {path: path.read_bytes() for path in recorded.rglob("*") if path.is_file()} == before


def test_the_version_is_that_of_the_package() -> None:
    outcome = CliRunner().invoke(app, ["--version"])
    assert (outcome.exit_code, outcome.output) == (0, f"wbc {version('wbc-pipeline')}\n")
