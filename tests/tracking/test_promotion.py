"""Promotion, and what `wbc promote` prints, in a project of its own: real models, a real SQLite store."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from click.testing import Result
from mlflow import MlflowClient
from typer.testing import CliRunner

from tests.locks import write_lock
from wbc.base.files import write_csv, write_json
from wbc.base.params import validate
from wbc.cli import app
from wbc.gate.params import GateParams
from wbc.scores.predictions import predictions_table
from wbc.scores.scores import evaluate
from wbc.tracking.promotion import fetch_champion, promote, roll_back
from wbc.tracking.publish import publish

CLASSES = ["EOSINOPHIL", "NEUTROPHIL"]
PIPELINE = """\
stages:
  train:
    cmd: none
    deps: [data/cells.npy]
    params: [model]
    outs:
    - models/model.keras
    - metrics/history.csv: {cache: false}
    metrics:
    - metrics/train.json: {cache: false}
  evaluate:
    cmd: none
    deps: [data/cells.npy, models/model.keras]
    outs:
    - metrics/predictions.csv: {cache: false}
    metrics:
    - metrics/evaluation.json: {cache: false}
"""
GATE = validate(
    GateParams,
    {
        "allow_random_weights": False,
        "allow_random_split": False,
        "allow_other_images": False,
        "overall": {"accuracy": 0.5},
        "per_class": {},
        "calibration": {},
        "against": {"metric": "accuracy", "margin": 0.05, "judge": "difference"},
    },
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store of MLflow, which takes seconds to set up."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def project(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a project with images, in git, and a store."""
    for name in [name for name in os.environ if name.startswith(("DVC_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for folder in (".dvc", "data", "metrics", "models"):
        (tmp_path / folder).mkdir()
    (tmp_path / ".dvc" / "config").touch()
    (tmp_path / ".dvc" / ".gitignore").write_text("/tmp\n/cache\n")
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").write_text(json.dumps({"model": "tiny", "gate": GATE.model_dump()}))
    shutil.copy(database, tmp_path)
    np.save(tmp_path / "data" / "cells.npy", np.arange(5 * 48, dtype=np.uint8).reshape(5, 4, 4, 3))
    for command in ("git init", "git add .", "git -c user.name=test -c user.email=test@localhost commit -m project"):
        subprocess.run(command.split(), check=True, capture_output=True)
    return tmp_path


def train(project: Path, *, seed: int, right: int, first: int = 0, strategy: str = "grouped") -> None:
    """Make a model and its results, ``right`` for so many of 100 images from ``first`` on, and publish them."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    image = keras.Input((4, 4, 3), dtype="uint8")
    hidden = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    keras.Model(image, layers.Dense(2, activation="softmax")(hidden)).save(project / "models" / "model.keras")
    (project / "metrics" / "history.csv").write_text("epoch,loss\n0,1.5\n")
    weights = {"weights_requested": "imagenet", "weights_used": "imagenet", "best_epoch": 0}
    write_json(project / "metrics" / "train.json", {"model": "tiny", "classes": CLASSES} | weights)
    truth = np.arange(100) % 2
    chances = np.eye(2)[np.where(np.roll(np.arange(100) < right, first), truth, 1 - truth)] * 0.8 + 0.1
    ids = [str(i) for i in range(100)]
    write_csv(project / "metrics" / "predictions.csv", predictions_table(ids, ids, truth, chances, CLASSES))
    scores = {"split_strategy": strategy, **evaluate(truth, chances, classes=CLASSES)}
    write_json(project / "metrics" / "evaluation.json", scores)
    show()


def show() -> None:
    """Publish what is in the working directory, as the stages do."""
    for stage in ("train", "evaluate"):
        os.environ["DVC_STAGE"] = stage  # as dvc does, whose lock is written later
        list(publish(stage))
    del os.environ["DVC_STAGE"]


def aliases(project: Path) -> dict[str, int]:
    """Return the version that bears each alias."""
    registered = MlflowClient(f"sqlite:///{project}/mlflow.db").get_registered_model("wbc")
    return {name: int(version) for name, version in registered.aliases.items()}


def command(*options: str) -> Result:
    return CliRunner().invoke(app, ["promote", *options])


def outcomes(checks: Any) -> dict[str, str]:
    return {check.rule: check.outcome for check in checks}


def test_the_first_model_that_passes_becomes_champion(project: Path) -> None:
    train(project, seed=1, right=90)

    result = promote(project, gate=GATE)

    assert (int(result.version.version), result.is_new, result.before) == (1, True, None)
    assert outcomes(result.checks) == {
        "accuracy": "passed",
        "weights": "passed",
        "split": "passed",
        "leaks": "skipped",
        "champion": "skipped",
    }
    assert aliases(project) == {"challenger": 1, "champion": 1}


def test_the_version_tells_what_it_is_made_of(project: Path) -> None:
    train(project, seed=1, right=90)
    (run,) = MlflowClient(f"sqlite:///{project}/mlflow.db").search_runs(["1"])
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()

    version = promote(project, gate=GATE).version

    assert version.run_id == run.info.run_id
    assert version.tags == {
        "model": "tiny",
        "classes": "EOSINOPHIL, NEUTROPHIL",
        "model_md5": run.data.tags["out.models/model.keras"],
        "dep.data/cells.npy": "effe48e5400c01f2960500ddc75cade6",
        "git_commit": commit,
        "weights_used": "imagenet",
        "test_split_strategy": "grouped",
        "test_accuracy": "0.9",
        "test_balanced_accuracy": "0.9",
        "test_macro_f1": "0.9",
        "test_auroc": "0.9",
        "test_log_loss": "0.325083",
        "test_expected_calibration_error": "0",
    }
    assert version.description == (
        "tiny: uint8 RGB images in, probabilities of EOSINOPHIL, NEUTROPHIL out, in this order. "
        "Resizing and normalisation are inside."
    )


def test_the_champion_predicts_on_photographs(project: Path) -> None:
    import keras

    train(project, seed=1, right=90)
    promote(project, gate=GATE)
    cells = np.load(project / "data" / "cells.npy")

    champion = mlflow.pyfunc.load_model("models:/wbc@champion")

    assert str(champion.metadata.signature.inputs) == "[Tensor('uint8', (-1, 4, 4, 3))]"
    assert str(champion.metadata.signature.outputs) == "[Tensor('float32', (-1, 2))]"
    assert champion.input_example.dtype == np.uint8
    np.testing.assert_array_equal(champion.input_example, cells[:1])
    expected = keras.saving.load_model(project / "models" / "model.keras").predict(cells, verbose=0)
    np.testing.assert_allclose(champion.predict(cells), expected, rtol=1e-4, atol=1e-6)


def test_a_better_model_takes_over_and_a_rollback_gives_back(project: Path) -> None:
    train(project, seed=1, right=85)
    promote(project, gate=GATE)
    train(project, seed=2, right=90)

    result = promote(project, gate=GATE)

    assert result.before is not None
    assert int(result.before.version) == 1
    [champion] = [check for check in result.checks if check.rule == "champion"]
    assert champion.measured == pytest.approx(0.05)
    assert champion.note == "difference of accuracy to version 1 of wbc, paired on 100 images"
    assert aliases(project) == {"challenger": 2, "champion": 2}

    before, after = roll_back()

    assert (int(before.version), int(after.version)) == (2, 1)
    assert aliases(project) == {"challenger": 2, "champion": 1}
    with pytest.raises(ValueError, match="version 1 of wbc is the first champion: there is none to go back to"):
        roll_back()


def test_a_model_worse_than_the_champion_stays_challenger(project: Path) -> None:
    train(project, seed=1, right=90)
    promote(project, gate=GATE)
    train(project, seed=2, right=80)

    result = promote(project, gate=GATE)

    assert outcomes(result.checks)["champion"] == "failed"
    assert aliases(project) == {"challenger": 2, "champion": 1}


@pytest.mark.parametrize(
    ("right", "strategy", "rule"), [(49, "grouped", "accuracy"), (100, "leaky", "split"), (100, "random", "split")]
)
def test_a_model_that_the_gate_refuses_stays_challenger(project: Path, right: int, strategy: str, rule: str) -> None:
    train(project, seed=1, right=right, strategy=strategy)

    result = promote(project, gate=GATE)

    assert [check.rule for check in result.checks if check.outcome == "failed"] == [rule]
    assert aliases(project) == {"challenger": 1}


def test_promoting_the_champion_again_changes_nothing(project: Path) -> None:
    train(project, seed=1, right=90)
    promote(project, gate=GATE)

    result = promote(project, gate=GATE)

    assert result.before is not None
    assert (result.is_new, result.before.version) == (False, result.version.version)
    assert set(outcomes(result.checks).values()) == {"passed", "skipped"}
    assert aliases(project) == {"challenger": 1, "champion": 1}
    assert len(MlflowClient(f"sqlite:///{project}/mlflow.db").search_model_versions("name = 'wbc'")) == 1


def test_champions_do_not_walk_down_by_a_margin_each(project: Path) -> None:
    for seed, (right, first) in enumerate([(90, 0), (86, 50), (82, 20)]):
        train(project, seed=seed, right=right, first=first)
        result = promote(project, gate=GATE)

    assert [(check.rule, check.outcome) for check in result.checks][-2:] == [
        ("champion", "passed"),
        ("former champion", "failed"),
    ]
    assert result.checks[-1].note.startswith("difference of accuracy to version 1 of wbc, paired on 100 images")
    assert aliases(project) == {"challenger": 3, "champion": 2}


def test_a_challenger_is_judged_anew_when_the_rules_change(project: Path) -> None:
    train(project, seed=1, right=49)
    promote(project, gate=GATE)

    result = promote(project, gate=GATE.model_copy(update={"overall": {"accuracy": 0.4}}))

    assert (int(result.version.version), result.is_new) == (1, False)
    assert aliases(project) == {"challenger": 1, "champion": 1}


def test_rollbacks_go_back_through_all_champions_that_are_left(project: Path) -> None:
    for seed in (1, 2, 3, 4):
        train(project, seed=seed, right=90)
        promote(project, gate=GATE)
    MlflowClient(f"sqlite:///{project}/mlflow.db").delete_model_version("wbc", "3")

    assert [int(roll_back()[1].version) for _ in range(2)] == [2, 1]


def test_without_a_champion_there_is_nothing_to_roll_back(project: Path) -> None:
    with pytest.raises(ValueError, match="wbc has no champion to roll back: `wbc promote` makes one"):
        roll_back()


def test_a_model_without_a_run_is_not_registered(project: Path) -> None:
    train(project, seed=1, right=90)
    (project / "models" / "model.keras").write_bytes(b"another model")
    with pytest.raises(ValueError, match="MLflow has no run of this model with these results"):
        promote(project, gate=GATE)


def test_a_run_with_other_results_does_not_count(project: Path) -> None:
    train(project, seed=1, right=90)
    (project / "metrics" / "evaluation.json").write_text('{"accuracy": 1.0}')
    with pytest.raises(ValueError, match="MLflow has no run of this model with these results"):
        promote(project, gate=GATE)


def test_of_two_runs_of_one_model_that_with_the_present_parameters_is_registered(project: Path) -> None:
    params = (project / "params.yaml").read_text()
    train(project, seed=1, right=90)
    (project / "params.yaml").write_text(params.replace("tiny", "small"))
    show()
    (project / "params.yaml").write_text(params)
    subprocess.run(["dvc", "commit", "--force"], check=True, capture_output=True)

    version = promote(project, gate=GATE).version

    assert version.run_id is not None
    assert MlflowClient(f"sqlite:///{project}/mlflow.db").get_run(version.run_id).data.params == {"model": "tiny"}


def test_a_project_without_a_model_says_how_to_make_one(project: Path) -> None:
    with pytest.raises(ValueError, match=r"models/model\.keras does not exist: bring it back with `dvc checkout`"):
        promote(project, gate=GATE)


def test_a_model_logged_without_an_example_is_logged_with_one(project: Path) -> None:
    train(project, seed=1, right=90)
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    (run,) = client.search_runs(["1"])
    (logged,) = run.outputs.model_outputs
    (described,) = project.glob(f"mlartifacts/**/{logged.model_id}/artifacts/MLmodel")
    lines = described.read_text().splitlines(keepends=True)
    start = lines.index("saved_input_example_info:\n")
    described.write_text("".join(lines[:start] + lines[start + 4 :]))

    promote(project, gate=GATE)

    assert mlflow.pyfunc.load_model("models:/wbc@champion").input_example is not None
    assert len(client.get_run(run.info.run_id).outputs.model_outputs) == 2


def test_the_champion_moves_with_its_project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    train(project, seed=1, right=90)
    promote(project, gate=GATE)
    moved = Path(shutil.copytree(project, tmp_path_factory.mktemp("copy") / "moved"))
    shutil.rmtree(project / "mlartifacts")
    program = (
        "import mlflow; from wbc.tracking.promotion import fetch_champion; import pathlib, tempfile;"
        "print(fetch_champion(pathlib.Path(tempfile.mkdtemp())).name);"
        "print(mlflow.artifacts.download_artifacts('models:/wbc@champion'))"
    )

    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}  # it names the store

    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=moved, env=inherited, capture_output=True, text=True, check=True
    )

    name, folder = answer.stdout.splitlines()
    assert name == "version 1 of wbc"
    assert Path(folder, "data", "model.keras").read_bytes() == (moved / "models" / "model.keras").read_bytes()
    assert not (project / "mlartifacts").exists()


def test_the_results_of_the_champion_are_those_of_its_run(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    train(project, seed=1, right=90)
    assert fetch_champion(tmp_path_factory.mktemp("none")) is None
    promote(project, gate=GATE)
    expected = (project / "metrics" / "predictions.csv").read_bytes()
    train(project, seed=2, right=95)

    champion = fetch_champion(tmp_path_factory.mktemp("copies"))

    assert champion is not None
    assert champion.name == "version 1 of wbc"
    assert (champion.results / "predictions.csv").read_bytes() == expected


def test_the_command_says_what_changed_hands_and_why(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    train(project, seed=1, right=85)
    first = command()
    train(project, seed=2, right=90)
    second = command()

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout.startswith("version 1 of wbc registered: challenger\n")
    assert (
        "champion of wbc is now version 1, there was none: the gate is open: 3 checks passed, 2 skipped\n"
        in first.stdout
    )
    assert second.stdout.startswith("version 2 of wbc registered: challenger\n")
    assert "champion: difference of accuracy to version 1 of wbc, paired on 100 images\n" in second.stdout
    assert (
        "champion of wbc is now version 2, was version 1: the gate is open: 4 checks passed, 1 skipped\n"
        in second.stdout
    )
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in second.stdout.splitlines()]
    assert ["test_accuracy", "0.85", "0.9"] in cells


def test_the_command_says_why_a_model_stays_challenger(project: Path) -> None:
    train(project, seed=1, right=90)
    command()
    train(project, seed=2, right=100, strategy="leaky")

    result = command()

    assert result.exit_code == 1
    assert "split: the split is leaky: the model was trained on views of test images" in result.stdout
    assert result.stdout.endswith("version 2 stays challenger, version 1 stays champion\n")
    assert aliases(project) == {"challenger": 2, "champion": 1}


def test_the_command_judges_the_champion_by_the_present_rules(project: Path) -> None:
    train(project, seed=1, right=90)
    command()
    again = command()
    params = json.loads((project / "params.yaml").read_text())
    params["gate"]["overall"]["accuracy"] = 0.95
    (project / "params.yaml").write_text(json.dumps(params))

    stricter = command()

    assert (again.exit_code, stricter.exit_code) == (0, 1)
    for result in (again, stricter):
        assert result.stdout.startswith("version 1 of wbc is this model and champion already\n")
    assert stricter.stdout.endswith(
        "the gate is shut: 1 of 5 checks failed, 1 skipped\n"
        "version 1 fails the present rules and stays champion until `wbc promote --rollback`\n"
    )
    assert aliases(project) == {"challenger": 1, "champion": 1}


def test_a_rollback_lasts_until_somebody_says_otherwise(project: Path) -> None:
    for seed in (1, 2):
        train(project, seed=seed, right=90)
        command()

    back, none = command("--rollback"), command("--rollback")
    refused = command()

    assert (back.exit_code, none.exit_code, refused.exit_code) == (0, 2, 1)
    assert back.stdout.startswith("champion of wbc is now version 1, was version 2: rolled back\n")
    assert back.stdout.endswith("version 2 stays back until `wbc promote --reinstate` of its model\n")
    assert none.stderr == "version 1 of wbc is the first champion: there is none to go back to\n"
    assert "it was rolled back to version 1: `wbc promote --reinstate` lets it challenge again" in refused.stdout
    assert aliases(project) == {"challenger": 2, "champion": 1}

    assert command("--reinstate").exit_code == 0
    assert aliases(project) == {"challenger": 2, "champion": 2}
    assert command().exit_code == 0


def test_a_version_that_was_rolled_back_is_neither_gone_back_to_nor_compared_with(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for seed in (1, 3, 2):
        train(project, seed=seed, right=90)
        promote(project, gate=GATE)
        if seed == 3:
            second = shutil.copytree(project / "models", tmp_path_factory.mktemp("second"), dirs_exist_ok=True)
    shutil.copytree(second, project / "models", dirs_exist_ok=True)
    promote(project, gate=GATE)
    assert int(roll_back()[0].version) == 2  # it was champion twice

    champion = fetch_champion(tmp_path_factory.mktemp("copies"))

    assert champion is not None
    assert [each.name for each in (champion, *champion.former)] == ["version 3 of wbc", "version 1 of wbc"]
    assert int(roll_back()[1].version) == 1


def test_the_gate_compares_with_the_champion_of_the_registry(project: Path) -> None:
    train(project, seed=1, right=90)
    command()
    train(project, seed=2, right=80)
    write_lock(project)

    result = CliRunner().invoke(app, ["gate"])

    assert result.exit_code == 1
    assert "champion: difference of accuracy to version 1 of wbc, paired on 100 images: it is below" in result.stdout


def test_a_store_that_cannot_be_reached_is_one_line_without_a_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")

    result = command()

    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("MLflow unreachable or unwilling (OperationalError")
