import json
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from ruamel.yaml import YAML

import wbc.tracking.publish
from wbc.tracking.connection import DeletedExperimentError
from wbc.tracking.publish import UnknownStageError, publish
from wbc.tracking.runs import read_runs

BIN = Path(sys.executable).parent

PARAMS = """\
seed: 1
model: tiny
data: {source: toy}
evaluate: {wished_error: 0.05}
models:
  tiny: {epochs: 3, learning_rate: 5e-05, patience: null}
  huge: {epochs: 4, learning_rate: 0.001, patience: 6}
"""

PIPELINE = """\
stages:
  check:
    cmd: python toy.py check
    params:
    - params.yaml:
    outs: [data/checked]
  download:
    cmd: python toy.py download
    deps: [data/checked, toy.py]
    params: [data]
    outs: [data/raw]
  augment:
    cmd: python toy.py augment
    deps: [data/raw, toy.py]
    params: [seed]
    outs: [data/train.npy, metrics/figures/augment/sheet.jpg]
    metrics:
    - metrics/augment.json: {cache: false}
  train:
    cmd: python toy.py train
    deps: [data/train.npy, tiny.keras, toy.py]
    params: [model, "models.${model}"]
    outs:
    - models/model.keras
    - metrics/history.csv: {cache: false}
    metrics:
    - metrics/train.json: {cache: false}
  evaluate:
    cmd: python toy.py evaluate
    deps: [data/raw, models/model.keras, toy.py]
    params: [evaluate]
    outs:
    - metrics/predictions.csv: {cache: false}
    - metrics/figures/evaluate/confusion.png
    metrics:
    - metrics/evaluation.json: {cache: false}
  explain:
    cmd: python toy.py explain
    deps: [metrics/predictions.csv, models/model.keras, toy.py]
    outs: [metrics/figures/explain/evidence.png]
"""

TOY = '''\
"""Writes what the stages write, without the work."""

import json
import sys
from pathlib import Path

from wbc.base.stage import run_stage

STAGE = sys.argv[1]
HISTORY = """\\
epoch,loss,accuracy,val_loss,val_accuracy,learning_rate
0,1.5,0.25,1.4,0.5,0.1
1,1.25,0.5,0.75,0.625,0.1
2,1,0.75,1,0.5,0.05
"""


def write(path, content):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())


def main():
    match STAGE:
        case "check":
            write("data/checked", "yes")
        case "download":
            write("data/raw/a.jpg", "a")
            write("data/raw/deeper/b.jpg", "b")
        case "augment":
            write("data/train.npy", Path("params.yaml").read_text().splitlines()[0])
            write("metrics/augment.json", json.dumps({"images": {"A+": 3, "B": 4}, "by": "smote"}))
            write("metrics/figures/augment/sheet.jpg", "drawn")
        case "train":
            write("models/model.keras", Path("tiny.keras").read_bytes())
            write("metrics/history.csv", HISTORY)
            train = {"model": "tiny", "weights_used": "random", "best_epoch": 1, "classes": ["A", "B"]}
            write("metrics/train.json", json.dumps(train))
            return {"images_per_second": 40}
        case "evaluate":
            per_class = {"A": {"sensitivity": 0.5, "auroc": None}}
            write("metrics/evaluation.json", json.dumps({"accuracy": 0.75, "per_class": per_class}))
            write("metrics/predictions.csv", "id,truth")
            write("metrics/figures/evaluate/confusion.png", "drawn")
        case "explain":
            write("metrics/figures/explain/evidence.png", "drawn")


run_stage(STAGE, main, published=STAGE != "check")
'''


def run(*command: str, folder: Path) -> str:
    """Run ``command`` in ``folder``, whatever pipeline this test is itself part of; return what it printed."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}
    environment = inherited | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "MLflow unreachable" not in result.stderr, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of toy stages in git, after `dvc repro`."""
    import keras
    from keras import layers

    folder = tmp_path_factory.mktemp("reproduced")
    image = keras.Input((4, 4, 3), dtype="uint8")
    keras.Model(image, layers.Dense(2, activation="softmax")(layers.Flatten()(image))).save(folder / "tiny.keras")
    for name, content in {"params.yaml": PARAMS, "dvc.yaml": PIPELINE, "toy.py": TOY}.items():
        (folder / name).write_text(content)
    (folder / ".gitignore").write_text("/mlflow.db*\n/mlartifacts/\n/metrics/.timing/\n")
    run("git", "init", folder=folder)
    run("git", "config", "user.name", "toy", folder=folder)
    run("git", "config", "user.email", "toy@localhost", folder=folder)
    run("dvc", "init", folder=folder)
    run("git", "add", ".", folder=folder)
    run("git", "commit", "-m", "a project", folder=folder)
    run("dvc", "repro", folder=folder)
    return folder


@pytest.fixture
def project(reproduced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: that project, its stages cached, with nothing in MLflow."""
    folder = tmp_path / "project"
    shutil.copytree(reproduced, folder, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts", ".timing"))
    for name in [name for name in os.environ if name.startswith(("DVC_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)
    return folder


def client_of(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def runs(folder: Path, experiment: str) -> list[Run]:
    client = client_of(folder)
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id], order_by=["start_time"])) if found else []


def points(folder: Path, run: Run, metric: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client_of(folder).get_metric_history(run.info.run_id, metric)]


def locked(folder: Path, stage: str) -> dict[str, str]:
    """The tags that dvc.lock asks for."""
    lock: dict[str, Any] = YAML(typ="safe").load(folder / "dvc.lock")["stages"][stage]
    return {f"{kind[:-1]}.{item['path']}": item["md5"] for kind in ("deps", "outs") for item in lock[kind]}


def seconds_of(folder: Path, stage: str) -> float:
    """What the stage measured of itself."""
    return float(json.loads((folder / "metrics" / ".timing" / f"{stage}.json").read_text())["seconds"])


def outcomes(name: str | None = None) -> dict[str, str]:
    """What publish reports, without the names of runs."""
    return {stage: outcome.split(" in run ")[0].split(",")[0] for stage, outcome in publish(name)}


def test_what_is_made_of_one_model_shares_one_run(reproduced: Path) -> None:
    (row,) = runs(reproduced, "wbc")

    assert row.info.status == "FINISHED"
    assert row.data.params == {
        "seed": "1",
        "data.source": "toy",
        "model": "tiny",
        "model.epochs": "3",
        "model.learning_rate": "5e-05",
        "model.patience": "null",
        "evaluate.wished_error": "0.05",
    }
    assert row.data.metrics == {
        "loss": 1.0,
        "accuracy": 0.75,
        "val_loss": 1.0,
        "val_accuracy": 0.5,
        "learning_rate": 0.05,
        "best_epoch": 1.0,
        "best_loss": 1.25,
        "best_accuracy": 0.5,
        "best_val_loss": 0.75,
        "best_val_accuracy": 0.625,
        "train_seconds": seconds_of(reproduced, "train"),
        "train_images_per_second": 40.0,
        "evaluate_seconds": seconds_of(reproduced, "evaluate"),
        "explain_seconds": seconds_of(reproduced, "explain"),
        "test_accuracy": 0.75,
        "test_per_class.A.sensitivity": 0.5,
    }
    assert points(reproduced, row, "val_loss") == [(0, 1.4), (1, 0.75), (2, 1.0)]
    assert row.info.end_time - row.info.start_time == round(1000 * seconds_of(reproduced, "train"))


def test_runs_are_linked_by_the_hashes_of_dvc(reproduced: Path) -> None:
    (row,) = runs(reproduced, "wbc")
    commit = run("git", "rev-parse", "HEAD", folder=reproduced).strip()
    expected = locked(reproduced, "train") | locked(reproduced, "evaluate") | locked(reproduced, "explain")

    assert row.data.tags.items() >= expected.items()
    assert row.data.tags.items() >= {"stage": "train", "git_commit": commit, "weights_used": "random"}.items()
    assert {(item.dataset.name, item.dataset.digest) for item in row.inputs.dataset_inputs} == {
        ("data/train.npy", expected["dep.data/train.npy"]),
        ("data/raw", expected["dep.data/raw"]),
        ("metrics/predictions.csv", expected["dep.metrics/predictions.csv"]),
    }
    assert expected["dep.data/raw"].endswith(".dir")


def test_data_stages_have_their_own_experiment(reproduced: Path) -> None:
    download, augment = runs(reproduced, "wbc-data")

    assert (download.data.tags["stage"], augment.data.tags["stage"]) == ("download", "augment")
    assert download.data.tags.items() >= locked(reproduced, "download").items()
    assert augment.data.tags.items() >= (locked(reproduced, "augment") | {"by": "smote"}).items()
    assert download.data.params == {"data.source": "toy"}
    assert augment.data.metrics == {
        "images.A_": 3.0,
        "images.B": 4.0,
        "augment_seconds": seconds_of(reproduced, "augment"),
    }


def test_files_and_figures_are_artifacts_below_the_project(reproduced: Path) -> None:
    client = client_of(reproduced)
    (row,) = runs(reproduced, "wbc")

    listed = {
        kind: [item.path for item in client.list_artifacts(row.info.run_id, kind)] for kind in ("figures", "metrics")
    }
    assert listed == {
        "figures": ["figures/confusion.png", "figures/evidence.png"],
        "metrics": [
            "metrics/evaluation.json",
            "metrics/history.csv",
            "metrics/predictions.csv",
            "metrics/train.json",
        ],
    }
    assert (reproduced / "mlartifacts" / row.info.run_id / "artifacts" / "metrics" / "history.csv").exists()


def test_the_model_is_logged_with_its_signature(reproduced: Path) -> None:
    import mlflow
    import numpy as np

    (row,) = runs(reproduced, "wbc")
    (output,) = row.outputs.model_outputs
    mlflow.set_tracking_uri(f"sqlite:///{reproduced}/mlflow.db")

    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")

    assert str(model.metadata.signature.inputs) == "[Tensor('uint8', (-1, 4, 4, 3))]"
    np.testing.assert_array_equal(model.input_example, np.zeros((1, 4, 4, 3), np.uint8))  # there are no cells here
    assert np.asarray(model.predict(np.zeros((3, 4, 4, 3), np.uint8))).shape == (3, 2)


def test_the_model_is_logged_byte_for_byte(reproduced: Path) -> None:
    (row,) = runs(reproduced, "wbc")
    (output,) = row.outputs.model_outputs
    client = client_of(reproduced)
    logged = client.get_logged_model(output.model_id)
    [copy] = reproduced.glob(f"mlartifacts/**/{output.model_id}/artifacts/data/model.keras")

    assert copy.read_bytes() == (reproduced / "models" / "model.keras").read_bytes()
    assert (logged.name, logged.status, logged.source_run_id) == ("model", "READY", row.info.run_id)
    assert logged.params["model.epochs"] == "3"
    assert {metric.key: metric.value for metric in logged.metrics}.items() >= {"best_loss": 1.25, "loss": 1.5}.items()


@pytest.mark.parametrize("stage", ["augment", "train", "evaluate"])
def test_publishing_a_running_stage_loads_nothing_that_it_does_not_use(project: Path, stage: str) -> None:
    heavy = {"tensorflow", "keras", "sklearn", "matplotlib", "pandas", "pyarrow", "scipy"}
    script = (
        "import sys; from wbc.cli import app; app(['publish', sys.argv[1]], standalone_mode=False);"
        f"print(sorted({heavy} & {{name for name, module in sys.modules.items() if module}}))"
    )
    output = run("env", f"DVC_STAGE={stage}", sys.executable, "-c", script, stage, folder=project)

    *published, loaded = output.splitlines()
    assert published[-1].startswith(f"{stage}: published in run")
    assert loaded == "[]"


def test_publish_fills_in_cached_stages_and_adds_nothing_twice(project: Path) -> None:
    stages = ("download", "augment", "train", "evaluate", "explain")

    assert outcomes() == dict.fromkeys(stages, "published")
    before = [row.to_dictionary() for name in ("wbc", "wbc-data") for row in runs(project, name)]
    assert outcomes() == dict.fromkeys(stages, "up to date")
    assert [row.to_dictionary() for name in ("wbc", "wbc-data") for row in runs(project, name)] == before
    assert len(before) == 3


def test_publishing_again_after_an_interruption_completes_the_same_run(project: Path) -> None:
    (project / "mlartifacts").write_text("a file where MLflow wants a folder")
    with pytest.raises(OSError):
        outcomes("train")
    (row,) = runs(project, "wbc")
    assert row.info.status == "FAILED"
    (project / "mlartifacts").unlink()

    assert outcomes("train") == {"train": "published"}

    (completed,) = runs(project, "wbc")
    assert completed.info.status == "FINISHED"
    assert completed.info.run_id == row.info.run_id
    assert points(project, completed, "val_loss") == [(0, 1.4), (1, 0.75), (2, 1.0)]
    assert points(project, completed, "best_epoch") == [(0, 1.0)]
    assert len(completed.outputs.model_outputs) == 1


def test_a_new_evaluation_that_is_shown_in_part_is_not_read_as_one(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes("evaluate")
    assert len(read_runs()) == 1
    (project / "metrics" / "evaluation.json").write_text('{"accuracy": 0.5}')
    monkeypatch.setenv("DVC_STAGE", "evaluate")
    (project / "mlartifacts").rename(project / "aside")
    (project / "mlartifacts").write_text("a file where MLflow wants a folder")

    with pytest.raises(OSError):
        outcomes("evaluate")

    assert [row.info.status for row in runs(project, "wbc")] == ["FAILED"]
    assert read_runs().empty


@pytest.mark.parametrize("copied", [False, True], ids=["renamed", "copied"])
def test_a_project_that_moved_keeps_what_it_has_recorded(project: Path, tmp_path: Path, copied: bool) -> None:
    outcomes("evaluate")
    (former,) = runs(project, "wbc")
    (output,) = former.outputs.model_outputs
    moved = tmp_path / "another 100 % name"
    (shutil.copytree if copied else os.rename)(project, moved)
    before = {path for path in project.rglob("*") if path.is_file()}
    program = (
        "import mlflow, sys; from wbc.tracking.runs import read_artifact;"
        "print(read_artifact(sys.argv[1], 'metrics/predictions.csv'));"
        "print(mlflow.artifacts.download_artifacts(f'models:/{sys.argv[2]}'))"
    )

    read = run(sys.executable, "-c", program, former.info.run_id, output.model_id, folder=moved)
    published = run("wbc", "publish", folder=moved)

    predictions, model = read.splitlines()
    assert predictions == "id,truth"
    assert Path(model, "data", "model.keras").read_bytes() == (moved / "models" / "model.keras").read_bytes()
    assert "explain: published in run" in published
    assert (moved / "mlartifacts" / former.info.run_id / "artifacts" / "figures" / "evidence.png").exists()
    assert {path for path in project.rglob("*") if path.is_file()} == before
    assert bool(before) == copied


def test_a_database_that_is_shared_keeps_its_artifacts(project: Path, tmp_path: Path) -> None:
    outcomes("download")
    (project / "mlflow.db").rename(tmp_path / "mlflow.db")
    moved = project.rename(tmp_path / "moved")

    run("env", f"MLFLOW_TRACKING_URI=sqlite:///{tmp_path}/mlflow.db", "wbc", "publish", "download", folder=moved)

    assert not (moved / "mlartifacts" / "mlartifacts").exists()
    experiment = client_of(tmp_path).get_experiment_by_name("wbc-data")
    assert experiment.artifact_location == (project / "mlartifacts").as_uri()


def test_a_deleted_experiment_says_how_to_go_on(project: Path) -> None:
    outcomes("evaluate")
    (row,) = runs(project, "wbc")
    client_of(project).delete_experiment(row.info.experiment_id)

    with pytest.raises(DeletedExperimentError) as told:
        outcomes("evaluate")
    with pytest.raises(DeletedExperimentError):
        read_runs()

    [restore] = re.findall("`(mlflow .*?)`", str(told.value))
    run(*restore.split(), folder=project)
    assert outcomes("evaluate") == {"train": "up to date", "evaluate": "up to date"}


@dataclass
class Gateway:
    """The address of a real MLflow server, behind a relay that falls silent in the middle of a model's upload."""

    url: str
    silent: bool = True


@pytest.fixture
def gateway(project: Path) -> Iterator[Gateway]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = f"--host 127.0.0.1 --port {port} --workers 1 --backend-store-uri sqlite:///{project}/server.db"
    process = subprocess.Popen(
        [BIN / "mlflow", "server", *options.split(), "--artifacts-destination", str(project / "uploads")],
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    closing = threading.Event()

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as upstream:
                threading.Thread(target=self.answer, args=[upstream], daemon=True).start()
                while data := self.request.recv(65536):
                    if told.silent and b"model.keras HTTP" in data:
                        closing.wait()
                        return
                    upstream.sendall(data)

        def answer(self, upstream: socket.socket) -> None:
            with suppress(OSError):
                while data := upstream.recv(65536):
                    self.request.sendall(data)

    relay = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay)
    relay.daemon_threads = True
    told = Gateway(url=f"http://127.0.0.1:{relay.server_address[1]}")
    threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.01}).start()
    while process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
            break
        time.sleep(0.1)
    yield told
    closing.set()
    relay.shutdown()
    relay.server_close()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_server_that_falls_silent_costs_a_stage_no_more_than_its_patience(
    project: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", gateway.url)
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    outcomes("download")  # what the server does once, in its own time
    monkeypatch.setattr(wbc.tracking.publish, "PATIENCE", 3.0)

    with pytest.raises(MlflowException, match="no end after 3 s"):
        outcomes("train")

    gateway.silent = False
    client = MlflowClient(gateway.url)
    [experiment] = client.search_experiments(filter_string="name = 'wbc'")
    [row] = client.search_runs([experiment.experiment_id])
    assert row.info.status == "FAILED"
    assert not row.outputs.model_outputs

    monkeypatch.delenv("DVC_STAGE")
    assert outcomes("train") == {"train": "published"}

    [row] = client.search_runs([experiment.experiment_id])
    assert row.info.status == "FINISHED"
    assert len(row.outputs.model_outputs) == 1


def test_evaluate_publishes_the_training_first(project: Path) -> None:
    assert outcomes("evaluate") == {"train": "published", "evaluate": "published"}
    assert len(runs(project, "wbc")) == 1


def test_the_explanation_of_a_model_is_published_into_its_run(project: Path) -> None:
    assert outcomes("explain") == {"train": "published", "evaluate": "published", "explain": "published"}
    (row,) = runs(project, "wbc")
    assert [item.path for item in client_of(project).list_artifacts(row.info.run_id, "figures")] == [
        "figures/confusion.png",
        "figures/evidence.png",
    ]


def test_the_explanation_of_a_model_without_a_run_is_left_out(project: Path) -> None:
    (project / "metrics" / "history.csv").write_text("of another training")
    assert outcomes("explain") == {"train": "left out", "evaluate": "left out", "explain": "left out"}
    assert runs(project, "wbc") == []


def test_a_stage_whose_files_changed_is_left_out(project: Path) -> None:
    (project / "metrics" / "history.csv").write_text("of another training")
    (project / "data" / "train.npy").unlink()

    assert outcomes() == {
        "download": "published",
        "augment": "left out",
        "train": "left out",
        "evaluate": "left out",
        "explain": "left out",
    }
    assert runs(project, "wbc") == []


def test_a_cached_stage_keeps_the_parameters_it_ran_with(project: Path) -> None:
    (project / "params.yaml").write_text(PARAMS.replace("seed: 1", "seed: 7"))

    outcomes("augment")

    (augment,) = runs(project, "wbc-data")
    assert augment.data.params["seed"] == "1"


def test_a_running_stage_is_read_from_its_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "params.yaml").write_text(PARAMS.replace("seed: 1", "seed: 7"))
    (project / "data" / "train.npy").write_text("seed: 7")
    monkeypatch.setenv("DVC_STAGE", "augment")

    outcomes("augment")

    (augment,) = runs(project, "wbc-data")
    assert augment.data.params == {"data.source": "toy", "seed": "7"}
    assert augment.data.tags["out.data/train.npy"] == "3b0ada90d7e312f3fbbde04b67fc6c0e"


def test_parameters_of_an_earlier_stage_that_ran_anew_are_not_those_of_the_model(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = project / "dvc.lock"
    train_npy = locked(project, "augment")["out.data/train.npy"]
    upper, lower = lock.read_text().split("  train:\n")
    lock.write_text(upper.replace(train_npy, "f" * 32) + "  train:\n" + lower)

    outcomes("train")

    (row,) = runs(project, "wbc")
    assert "seed" not in row.data.params
    assert row.data.params["model"] == "tiny"


def test_a_new_evaluation_of_the_same_model_replaces_the_old_values(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes("evaluate")
    (project / "metrics" / "evaluation.json").write_text('{"accuracy": 0.5}')
    monkeypatch.setenv("DVC_STAGE", "evaluate")

    assert outcomes("evaluate") == {"train": "up to date", "evaluate": "published"}

    (row,) = runs(project, "wbc")
    assert row.data.metrics["test_accuracy"] == 0.5


def change(project: Path, old: str, new: str) -> None:
    """Change a parameter both in params.yaml and in dvc.lock, as `dvc repro` does when the bytes stay the same."""
    for name in ("params.yaml", "dvc.lock"):
        path = project / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


def test_another_parameter_that_makes_the_same_model_has_a_run_of_its_own(project: Path) -> None:
    outcomes()
    change(project, "seed: 1", "seed: 7")

    assert set(outcomes().values()) == {"published", "up to date"}  # the download has no seed

    assert [row.data.params["seed"] for row in runs(project, "wbc")] == ["1", "7"]
    assert [row.data.params.get("seed") for row in runs(project, "wbc-data")] == [None, "1", "7"]
    assert set(outcomes().values()) == {"up to date"}
    assert all(row.data.metrics["test_accuracy"] == 0.75 for row in runs(project, "wbc"))
    assert all(len(row.outputs.model_outputs) == 1 for row in runs(project, "wbc"))


def test_an_evaluation_by_another_parameter_has_a_run_of_its_own(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes()
    [first] = runs(project, "wbc")
    change(project, "wished_error: 0.05", "wished_error: 0.1")
    (project / "metrics" / "evaluation.json").write_text('{"accuracy": 0.5}')
    monkeypatch.setenv("DVC_STAGE", "evaluate")

    assert outcomes("evaluate") == {"train": "published", "evaluate": "published"}

    runs_latest_first = read_runs().to_dict("records")
    assert [(row["evaluate.wished_error"], row["test_accuracy"]) for row in runs_latest_first] == [
        ("0.1", 0.5),
        ("0.05", 0.75),
    ]
    assert runs_latest_first[1]["run_id"] == first.info.run_id


def test_a_stage_that_ran_alone_by_another_parameter_adds_no_run_each_time(project: Path) -> None:
    before, evaluate = (project / "dvc.lock").read_text().split("\n  evaluate:\n")
    alone = evaluate.replace("wished_error: 0.05", "wished_error: 0.05\n        model: huge")
    (project / "dvc.yaml").write_text(PIPELINE.replace("params: [evaluate]", "params: [evaluate, model]"))
    (project / "dvc.lock").write_text(f"{before}\n  evaluate:\n{alone}")
    outcomes("evaluate")

    assert outcomes("evaluate") == {"train": "up to date", "evaluate": "up to date"}

    (row,) = runs(project, "wbc")
    assert row.data.params["model"] == "tiny"


@pytest.mark.parametrize("started", [0.0, 4e9])
def test_the_timing_of_another_execution_is_not_used(project: Path, started: float) -> None:
    (project / "metrics" / ".timing").mkdir()
    timing = {"started": started, "seconds": 5.0}
    (project / "metrics" / ".timing" / "download.json").write_text(json.dumps(timing))

    outcomes("download")

    (download,) = runs(project, "wbc-data")
    assert download.data.metrics == {}


@pytest.mark.parametrize(
    "main", ["lambda: int('two')", "lambda: os.kill(os.getpid(), signal.SIGKILL)"], ids=["fails", "is killed"]
)
def test_a_stage_that_does_not_end_well_shows_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, main: str
) -> None:
    monkeypatch.setenv("DVC_STAGE", "download")
    monkeypatch.setenv("PATH", str(BIN), prepend=os.pathsep)
    program = f"import os, signal, wbc.base.stage; wbc.base.stage.run_stage('download', {main})"

    stage = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert stage.returncode in (1, -signal.SIGKILL)
    assert stage.stdout == ""  # its publisher has ended too, for it would hold this pipe
    assert runs(project, "wbc-data") == []


def test_an_experiment_in_a_clone_lands_in_the_main_workspace(project: Path) -> None:
    run("git", "add", ".", folder=project)
    run("git", "commit", "-m", "results", folder=project)

    run("dvc", "exp", "run", "--temp", "--name", "lucky", "-S", "seed=7", "augment", folder=project)

    (augment,) = runs(project, "wbc-data")
    assert augment.data.params["seed"] == "7"
    assert augment.data.tags["DVC_EXP_NAME"] == "lucky"
    assert (project / "mlartifacts" / augment.info.run_id / "artifacts" / "figures" / "sheet.jpg").exists()


def test_processes_that_meet_a_fresh_database_all_succeed(project: Path) -> None:
    stages = ("download", "augment", "download")
    processes = [
        subprocess.Popen([BIN / "wbc", "publish", stage], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for stage in stages
    ]
    answers = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], answers
    assert sorted(row.data.tags["stage"] for row in runs(project, "wbc-data")) == ["augment", "download"]


@pytest.mark.parametrize("clones", [1, 2])
def test_publications_of_one_model_at_once_make_one_run(project: Path, tmp_path: Path, clones: int) -> None:
    folders = [project, shutil.copytree(project, tmp_path / "clone")][:clones] * (4 // clones)
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}  # there is none yet
    processes = [
        subprocess.Popen([BIN / "wbc", "publish", "evaluate"], cwd=folder, env=environment, stderr=subprocess.PIPE)
        for folder in folders
    ]
    answers = [process.communicate(timeout=300) for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0, 0], answers
    (row,) = runs(tmp_path, "wbc")
    assert points(tmp_path, row, "val_loss") == [(0, 1.4), (1, 0.75), (2, 1.0)]
    assert points(tmp_path, row, "test_accuracy") == [(0, 0.75)]
    assert len(client_of(tmp_path).search_logged_models([row.info.experiment_id])) == 1


def test_an_unknown_stage_names_the_known_ones(project: Path) -> None:
    with pytest.raises(
        UnknownStageError, match="'trian' to publish: there are download, augment, train, evaluate, explain"
    ):
        outcomes("trian")


def test_the_runs_of_the_present_data_are_read_latest_first(project: Path) -> None:
    assert read_runs(["data/train.npy"]).empty
    list(publish())
    [run] = read_runs(["data/train.npy"]).to_dict("records")
    assert (run["model"], run["weights_used"], run["test_accuracy"]) == ("tiny", "random", 0.75)


def test_a_run_on_other_data_is_not_read(project: Path) -> None:
    list(publish())
    lock = (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text(lock.replace(locked(project, "train")["dep.data/train.npy"], "f" * 32))
    assert read_runs(["data/train.npy"]).empty
    assert len(read_runs(["tiny.keras"])) == 1
