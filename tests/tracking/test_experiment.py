"""Results come out of git into experiments/, and nothing of anybody else is touched there or elsewhere."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from dvc.scm import RevError
from typer.testing import CliRunner

from tests.locks import write_lock
from wbc.base.files import write_csv, write_json
from wbc.base.params import read_params
from wbc.cli import app
from wbc.scores.predictions import predictions_table
from wbc.scores.scores import evaluate
from wbc.tracking.experiment import MADE, experiment_folder, export_results


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    subprocess.run(["git", *identity, *arguments], capture_output=True, check=True)


def show(name: str) -> Result:
    return CliRunner().invoke(app, ["show", name])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its content, but for what git and DVC keep for themselves."""
    files = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path.as_posix(): content for path, content in files.items() if not {".git", "tmp"} & {*path.parts}}


def write_results(folder: Path, *, right: int) -> None:
    """Write the results of a model that is right for the first ``right`` of ten images."""
    truth = np.arange(10) % 2
    chances = np.eye(2)[np.where(np.arange(10) < right, truth, 1 - truth)] * 0.8 + 0.1
    ids = [str(i) for i in range(10)]
    write_csv(folder / "predictions.csv", predictions_table(ids, ids, truth, chances, ["A", "B"]))
    write_json(folder / "evaluation.json", evaluate(truth, chances, classes=["A", "B"]))
    write_lock(folder.parent)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a project in a folder of a user's, whose two commits hold results, with tags and remote.

    Nine of ten images are right at the tag ``good``, six at ``main``.
    """
    for name in [name for name in os.environ if name.startswith(("DVC_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    project = tmp_path / "home" / "project"
    (project / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(project)
    (project / ".dvc" / "config").touch()
    (project / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (project / ".gitignore").write_text("/experiments/\n")
    (project / "params.yaml").write_text("model: vgg16\n")
    (tmp_path / "home" / "letter.txt").write_text("a letter")
    git("init", "--initial-branch=main")
    for right, tags in ((9, ("good", "v1/x")), (6, ())):
        write_results(project / "metrics", right=right)
        git("add", ".")
        git("commit", "-m", "results")
        for tag in tags:
            git("tag", tag)
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    return project


def test_the_results_of_a_revision_come_to_a_folder_of_its_name(repository: Path) -> None:
    result = show("good")
    assert result.exit_code == 0, result.output
    assert "good: 10 test images, accuracy 0.900" in result.output
    written = contents(repository / "experiments" / "good")
    assert sorted(written) == [MADE, "dvc.lock", "evaluation.json", "params.yaml", "predictions.csv"]
    assert written["params.yaml"] == b"model: vgg16\n"


@pytest.mark.parametrize(
    ("name", "folder"),
    [("origin/main", "origin%2Fmain"), ("v1/x", "v1%2Fx"), ("HEAD~1", "HEAD~1"), ("main^{commit}", "main^{commit}")],
)
def test_a_name_with_slashes_comes_to_one_folder_below_experiments(repository: Path, name: str, folder: str) -> None:
    result = show(name)
    assert result.exit_code == 0, result.output
    assert [path.name for path in (repository / "experiments").iterdir()] == [folder]


@pytest.mark.parametrize("name", ["..", "../..", ".", "a/../..", "metrics", "experiments", ".git", "", " ", "HEAD.."])
@pytest.mark.parametrize("command", [["show"], ["report", "--experiment"]])
def test_a_name_that_is_no_revision_deletes_nothing(repository: Path, name: str, command: list[str]) -> None:
    (repository / "experiments" / "kept").mkdir(parents=True)
    (repository / "experiments" / "kept" / "notes.txt").write_text("notes")
    before = contents(repository.parent)
    result = CliRunner().invoke(app, [*command, name])
    assert result.exit_code == 2, result.output
    assert contents(repository.parent) == before
    assert (repository / ".git" / "HEAD").exists()


@pytest.mark.parametrize("relative", [False, True])
def test_the_path_of_a_folder_is_no_revision(repository: Path, relative: bool) -> None:
    home = repository.parent
    before = contents(home)
    assert show("../.." if relative else str(home)).exit_code == 2
    assert contents(home) == before


def test_what_was_shown_of_a_revision_that_is_gone_stays(repository: Path) -> None:
    assert show("good").exit_code == 0
    before = contents(repository)
    git("tag", "--delete", "good")
    result = show("good")
    assert result.exit_code == 2
    assert "good" in result.output
    assert contents(repository) == before


def test_results_replace_older_ones_of_the_same_name(repository: Path) -> None:
    export_results("HEAD", destination=experiment_folder("HEAD"))
    write_results(repository / "metrics", right=3)
    write_json(repository / "metrics" / "new.json", {})
    (repository / "metrics" / "predictions.csv").unlink()
    git("add", "--all")
    git("commit", "-m", "others")
    result = show("HEAD")
    assert "accuracy 0.300" in result.output
    assert sorted(contents(repository / "experiments")) == [
        f"HEAD/{name}" for name in (MADE, "dvc.lock", "evaluation.json", "new.json", "params.yaml")
    ]


def test_a_folder_that_wbc_did_not_make_is_refused(repository: Path) -> None:
    folder = repository / "experiments" / "good"
    folder.mkdir(parents=True)
    (folder / "evaluation.json").write_text("mine")
    result = show("good")
    assert result.exit_code == 2
    assert "holds evaluation.json, which was not put there by wbc: move it away" in result.output
    assert contents(folder) == {"evaluation.json": b"mine"}


def test_an_empty_folder_is_filled(repository: Path) -> None:
    (repository / "experiments" / "good").mkdir(parents=True)
    assert show("good").exit_code == 0
    assert (repository / "experiments" / "good" / "evaluation.json").exists()


def test_what_a_user_put_into_a_folder_of_results_is_not_lost(repository: Path) -> None:
    assert show("good").exit_code == 0
    (repository / "experiments" / "good" / "figures").mkdir()
    (repository / "experiments" / "good" / "figures" / "annotated.png").write_text("by hand")
    before = contents(repository)
    result = show("good")
    assert result.exit_code == 2
    assert "figures/annotated.png" in result.output
    assert contents(repository) == before


def test_a_copy_of_results_under_another_name_is_not_taken_for_ones_own(repository: Path) -> None:
    assert show("good").exit_code == 0
    (repository / "experiments" / "good").rename(repository / "experiments" / "main")
    result = show("main")
    assert result.exit_code == 2
    assert "holds the results of good, not of main" in result.output


def test_a_link_out_of_experiments_is_refused(repository: Path) -> None:
    elsewhere = repository.parent / "elsewhere"
    elsewhere.mkdir()
    (repository / "experiments").mkdir()
    (repository / "experiments" / "good").symlink_to(elsewhere)
    result = show("good")
    assert result.exit_code == 2
    assert "move it away" in result.output
    assert (repository / "experiments" / "good").is_symlink()
    assert not any(elsewhere.iterdir())


def test_a_revision_without_results_leaves_nothing_behind(repository: Path) -> None:
    git("rm", "-r", "metrics")
    git("commit", "-m", "none")
    with pytest.raises(FileNotFoundError):
        export_results("HEAD", destination=experiment_folder("HEAD"))
    assert not any((repository / "experiments").iterdir())


def test_an_unknown_name_is_an_error_of_dvc(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(RevError):
        export_results("unheard-of", destination=tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", [["show"], ["report", "--experiment"]])
def test_results_of_another_run_are_refused_and_nothing_is_written(repository: Path, command: list[str]) -> None:
    (repository / "params.yaml").write_text("model: vgg16\nseed: 2\n")
    write_lock(repository, train={"seed": 1})
    git("add", "--all")
    git("commit", "-m", "parameters without a run")
    git("checkout", "good")
    before = contents(repository)

    result = CliRunner().invoke(app, [*command, "main"])

    assert result.exit_code == 2
    assert "main has no results of its own parameters: train ran with seed=1, params.yaml has 2\n" in result.stderr
    assert contents(repository) == before


def test_what_a_later_stage_made_for_another_run_is_left_out(repository: Path) -> None:
    for name in ("explain/evidence.png", "evaluate/confusion_matrix.png"):
        (repository / "metrics" / "figures" / name).parent.mkdir(parents=True)
        (repository / "metrics" / "figures" / name).touch()
    write_json(repository / "metrics" / "external.json", {})
    write_lock(repository, external={"seed": 1}, explain={"seed": 1})
    git("add", ".")
    git("commit", "-m", "evaluate and no more")

    assert show("HEAD").exit_code == 0

    assert sorted(contents(repository / "experiments" / "HEAD")) == [
        MADE,
        "dvc.lock",
        "evaluation.json",
        "figures/evaluate/confusion_matrix.png",
        "params.yaml",
        "predictions.csv",
    ]


PIPELINE = """\
stages:
  train:
    cmd: x
    deps: [data/cells.npy, data/split.csv]
    params: [model, seed, data, split]
    outs: [models/model.keras]
    metrics: [metrics/train.json: {cache: false}]
  evaluate:
    cmd: x
    deps: [models/model.keras]
    metrics: [metrics/evaluation.json: {cache: false}]
    plots: [metrics/predictions.csv: {cache: false}]
"""


@pytest.fixture
def project_below(recorded: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a project with results, two folders below the top folder of the git repository."""
    for name in [name for name in os.environ if name.startswith(("DVC_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    top = tmp_path_factory.mktemp("top")
    project = top / "team" / "project"
    shutil.copytree(recorded, project)
    monkeypatch.chdir(project)
    (project / ".dvc").mkdir()
    (project / ".dvc" / "config").touch()
    (project / ".gitignore").write_text("/experiments/\n/.dvc/tmp\n")
    (project / "dvc.yaml").write_text(PIPELINE)
    params = read_params()
    write_lock(project, train={key: params[key] for key in ("model", "seed", "data", "split")})
    git("init", str(top))
    git("add", ".")
    git("commit", "-m", "results")
    return project


def test_a_project_in_a_folder_of_another_repository_shows_its_results(project_below: Path) -> None:
    shown, reported = show("HEAD"), CliRunner().invoke(app, ["report", "--experiment", "HEAD"])
    judged = CliRunner().invoke(app, ["gate", "--against", "HEAD", "--json", "-"])
    compared = CliRunner().invoke(app, ["compare", "--experiments", "--metric", "accuracy"])

    assert "HEAD: 5 test images, accuracy 0.800" in shown.output
    assert (project_below / "experiments" / "HEAD" / "figures" / "suspects" / "gallery.png").exists()
    assert reported.output.endswith("written to report.html: HEAD, model efficientnet_lite0-abcdef\n")
    assert "accuracy<b>0.800</b>" in (project_below / "report.html").read_text()
    champion = json.loads(judged.stdout)["checks"][-1]
    assert (champion["rule"], champion["outcome"], champion["measured"]) == ("champion", "passed", 0.0)
    assert compared.exit_code == 0, compared.output
    assert "| `efficientnet_lite0` | HEAD |" in (project_below / "comparison.md").read_text()


def test_a_revision_from_before_the_project_was_there_has_no_results(project_below: Path) -> None:
    git("checkout", "--orphan", "empty")
    git("rm", "-r", "--cached", ".")
    git("commit", "--allow-empty", "-m", "before")

    result = show("HEAD")

    assert (result.exit_code, result.stderr) == (2, "HEAD has no metrics/\n")
