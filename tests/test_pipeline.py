"""The whole pipeline as a user runs it: dvc in a git repository of its own, on drawn smears."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import psutil
import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from wbc.data.tables import PREDICTIONS, read_table
from wbc.sources.drawing import draw_smear

ROOT = Path(__file__).parents[1]
DATA_STAGES = ["download", "clean", "suspects", "split", "augment"]
STAGES = ["check", *DATA_STAGES, "weights", "train", "evaluate", "explain", "external"]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "WBC_"))},
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    **{
        f"GIT_{role}_{what}": f"test{sign}"
        for role in ("AUTHOR", "COMMITTER")
        for what, sign in (("NAME", ""), ("EMAIL", "@localhost"))
    },
}

pytestmark = pytest.mark.slow


def run(folder: Path, *command: str, expect: int = 0, **variables: str) -> str:
    """Run ``command`` in ``folder`` and return what it printed."""
    environment = ENVIRONMENT | variables
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert done.returncode == expect, done.stdout
    return done.stdout


def executed(output: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)'", output)


def edit_params(folder: Path, **changes: object) -> None:
    """Set keys of params.yaml; two underscores stand for a dot."""
    yaml = YAML()
    content = yaml.load(folder / "params.yaml")
    for key, value in changes.items():
        *sections, last = key.split("__")
        place = content
        for section in sections:
            place = place[section]
        place[last] = value
    yaml.dump(content, folder / "params.yaml")


def make_project(folder: Path) -> Path:
    """Copy the project as it is now, set for a short run on drawn smears, and commit it."""
    for file in run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / file).is_file() and not file.startswith(("metrics/", "docs/", "dvc.lock")):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
    counts = {"NEUTROPHIL": 16, "EOSINOPHIL": 12, "LYMPHOCYTE": 12, "MONOCYTE": 12, "BASOPHIL": 2}
    edit_params(
        folder,
        data__source="smears",
        sources__smears__counts=counts,
        sources__smears__width=320,
        sources__smears__height=240,
        clean__size=[64, 64],
        augment__target_per_class=24,
        augment__copies=1,
        model="compact_cnn",
        models__compact_cnn__input=[64, 64],
        models__compact_cnn__epochs=4,
    )
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message=start")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after its first `dvc repro`, committed. Tests leave it as they found it."""
    folder = make_project(tmp_path_factory.mktemp("finished"))
    assert executed(run(folder, "dvc", "repro")) == STAGES
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message=results")
    return folder


@pytest.fixture
def project(finished: Path) -> Iterator[Path]:
    """The finished project, restored after the test."""
    yield finished
    run(finished, "git", "restore", ".")
    run(finished, "dvc", "checkout", "--quiet", "--force")


def test_the_tables_fit_together(finished: Path) -> None:
    manifest, split, dropped, records = (
        pd.read_csv(finished / "data" / name)
        for name in ("manifest.csv", "split.csv", "dropped.csv", "raw/records.csv")
    )
    assert len(records) == len(manifest) + len(dropped)
    assert split["id"].tolist() == manifest["id"].tolist()
    training = pd.read_csv(finished / "data/train.csv")
    assert set(training["id"]) <= set(split.loc[split["split"] == "train", "id"])
    predictions = pd.read_csv(finished / "metrics/predictions.csv")
    assert predictions["id"].tolist() == split.loc[split["split"] == "test", "id"].tolist()


def test_predictions_below_the_threshold_are_marked_for_review(finished: Path) -> None:
    predictions = pd.read_csv(finished / "metrics/predictions.csv")
    assert predictions.columns[-1] == "review"
    scores = json.loads((finished / "metrics/evaluation.json").read_text())
    threshold = scores["review"]["threshold"]
    confidence = predictions.filter(like="probability_").max(axis=1)
    assert predictions["review"].tolist() == (confidence < (2.0 if threshold is None else threshold)).tolist()
    assert predictions["review"].sum() == scores["review"]["reviewed"]
    assert f"# The test part: {len(predictions)} images" in (finished / "metrics/evaluation.md").read_text()


def test_a_temperature_is_fitted_and_kept_in_the_model(project: Path) -> None:
    before = json.loads((project / "metrics/train.json").read_text())
    assert before["temperature"] is None
    output = run(project, "dvc", "exp", "run", "-S", "train.temperature=true")
    assert executed(output) == ["check", "train", "evaluate", "explain", "external"]
    temperature = json.loads((project / "metrics/train.json").read_text())["temperature"]
    assert 0.1 <= temperature <= 10
    assert keras.saving.load_model(project / "models/model.keras").get_layer("temperature").scale == pytest.approx(
        1 / temperature
    )


def test_a_second_repro_does_nothing(finished: Path) -> None:
    assert executed(run(finished, "dvc", "repro")) == []


def test_another_clone_gets_the_same_lock(finished: Path, tmp_path: Path) -> None:
    other = make_project(tmp_path)
    run(other, "dvc", "repro")
    assert (other / "dvc.lock").read_bytes() == (finished / "dvc.lock").read_bytes()


def test_editing_the_figures_reruns_only_the_evaluation(project: Path) -> None:
    with (project / "wbc/evaluate/score_figures.py").open("a") as file:
        file.write("\n# edited\n")
    assert executed(run(project, "dvc", "repro")) == ["evaluate"]


def test_editing_another_models_block_reruns_only_the_check(project: Path) -> None:
    edit_params(project, models__efficientnet_lite0__epochs=13)
    assert executed(run(project, "dvc", "repro")) == ["check"]


def test_another_model_reruns_weights_training_and_evaluation(project: Path) -> None:
    short = ["-S", "models.efficientnet_lite0.input=[32,32]", "-S", "models.efficientnet_lite0.epochs=2"]
    output = run(project, "dvc", "exp", "run", "-S", "model=efficientnet_lite0", *short)
    assert executed(output) == ["check", "weights", "train", "evaluate", "explain", "external"]


def test_a_model_whose_weights_cannot_be_had_completes_and_is_labelled_honestly(project: Path, tmp_path: Path) -> None:
    short = ["-S", "models.mobilenetv3.input=[32,32]", "-S", "models.mobilenetv3.epochs=2"]
    offline = {"HTTPS_PROXY": "http://127.0.0.1:9", "KERAS_HOME": str(tmp_path)}
    output = run(project, "dvc", "exp", "run", "-S", "model=mobilenetv3", *short, **offline)
    assert output.count("mobilenetv3 starts from RANDOM weights") == 3  # by weights, before and after training
    training = json.loads((project / "metrics/train.json").read_text())
    assert (training["weights_requested"], training["weights_used"]) == ("auto", "random")
    assert "mobilenetv3 was trained from random weights" in run(project, "wbc", "gate", expect=1)
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    experiment = client.get_experiment_by_name("wbc")
    assert experiment is not None
    (labelled,) = client.search_runs([experiment.experiment_id], "tags.weights_requested = 'auto'")
    assert labelled.data.tags["weights_used"] == "random"


def test_going_back_to_a_model_runs_nothing_again(project: Path) -> None:
    other = ["dvc", "exp", "run", "-S", "model=leaky_cnn", "-S", "models.leaky_cnn.epochs=2"]
    before = (project / "models/model.keras").read_bytes()
    assert executed(run(project, *other)) == ["check", "weights", "train", "evaluate", "explain", "external"]
    assert (project / "models/model.keras").read_bytes() != before
    figure = (project / "metrics/figures/evaluate/confusion_matrix.png").read_bytes()
    run(project, "git", "restore", ".")
    assert executed(run(project, "dvc", "repro")) == []
    assert (project / "models/model.keras").read_bytes() == before
    assert executed(run(project, *other)) == []
    assert json.loads((project / "metrics/train.json").read_text())["model"] == "leaky_cnn"
    assert (project / "metrics/figures/evaluate/confusion_matrix.png").read_bytes() == figure
    assert "leaky_cnn" in run(project, "wbc", "publish", "train")


def test_an_unknown_model_stops_before_anything_is_lost(project: Path) -> None:
    before = (project / "models/model.keras").read_bytes()
    output = run(project, "dvc", "exp", "run", "-S", "model=compact_cn", expect=255)
    assert executed(output) == ["check"]
    assert "no 'compact_cn'; there are efficientnet_lite0, " in output
    assert "; nearest: compact_cnn" in output
    assert (project / "models/model.keras").read_bytes() == before
    assert (project / "metrics/evaluation.json").exists()


def test_an_experiment_aside_leaves_the_work_tree_clean_and_its_run_in_the_main_store(project: Path) -> None:
    run(project, "dvc", "exp", "run", "--temp", "--name", "aside", "-S", "models.compact_cnn.epochs=3")
    assert run(project, "git", "status", "--porcelain") == ""
    assert "aside" in run(project, "dvc", "exp", "show", "--csv")
    assert "aside" in run(project, "wbc", "show", "aside")
    assert (project / "experiments/aside/figures/evaluate/confusion_matrix.png").exists()
    assert (project / "experiments/aside/evaluation.md").exists()
    assert "up to date" in run(project, "wbc", "publish", "train")


def test_the_same_name_on_a_later_commit_shows_the_later_experiment(project: Path) -> None:
    shown = []
    for epochs in (2, 3):
        run(project, "git", "commit", "--quiet", "--allow-empty", f"--message=later {epochs}")
        run(project, "dvc", "exp", "run", "--temp", "--name", "again", "-S", f"models.compact_cnn.epochs={epochs}")
        run(project, "wbc", "show", "again")
        shown.append(len(pd.read_csv(project / "experiments/again/history.csv")))
    assert shown == [2, 3]


def test_own_images_with_classes_too_small_for_every_part(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    counts = {"Ly, typical": 12, "bands": 12, "monocytes": 12, "blasts": 3, "giants": 1}
    for seed, (name, count) in enumerate(counts.items()):
        drawn = {"Ly, typical": "LYMPHOCYTE", "bands": "BAND", "monocytes": "MONOCYTE"}.get(name, "BLAST")
        for number in range(count):
            image, _ = draw_smear(seed=seed, number=number, classes=[drawn], width=160, height=160)
            path = tmp_path / "own" / name / f"p{number}_a{['.png', '.jpg', '.tif', '.bmp'][number % 4]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)
    edit_params(
        project,
        data__source="folders",
        data__groups__pattern="^(p[0-9]+)_",
        sources__folders__path=str(tmp_path / "own"),
        clean__window=64,
        models__compact_cnn__epochs=3,
    )
    output = run(project, "dvc", "repro", "split")
    assert "40 images: BANDS 12, BLASTS 3, GIANTS 1, LY TYPICAL 12, MONOCYTES 12" in output
    assert "note: GIANTS (1 images in 1 groups) has no image in validation and test" in output
    split = pd.read_csv(project / "data/split.csv")
    assert split.groupby("group")["split"].nunique().max() == 1
    assert split["group"].nunique() == 12
    edit_params(project, augment__copies=8)
    run(project, "dvc", "repro")
    scores = json.loads((project / "metrics/evaluation.json").read_text())
    assert scores["per_class"]["GIANTS"]["support"] == 0
    assert scores["per_class"]["GIANTS"]["sensitivity"] is None


@pytest.mark.parametrize("way", ["repro", "exp run --temp"])  # `exp run` itself empties outputs before any stage runs
def test_photographs_in_an_output_are_still_there_after_the_refusal(tmp_path: Path, way: str) -> None:
    project = make_project(tmp_path)
    photographs = {project / "data/raw/mine" / f"{number}.jpg": bytes([number]) * 9 for number in range(31)}
    for path, content in photographs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    changes = {"data.source": "folders", "sources.folders.path": "data/raw/mine"}
    if way == "repro":
        edit_params(project, **{key.replace(".", "__"): value for key, value in changes.items()})
        output = run(project, "dvc", "repro", expect=255)
    else:
        sets = [part for key, value in changes.items() for part in ("-S", f"{key}={value}")]
        output = run(project, "dvc", *way.split(), *sets, expect=255)
    assert "sources.folders.path: data/raw/mine lies in data/raw" in output
    assert executed(output) == ["check"]
    assert {path: path.read_bytes() for path in photographs} == photographs


@pytest.mark.timeout(1800)
def test_class_folders_of_any_name_go_through_every_stage_and_command(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    kinds = {
        "0": "NEUTROPHIL",
        "1": "LYMPHOCYTE",
        "NA": "MONOCYTE",
        "NULL": "BAND",
        "True": "EOSINOPHIL",
        "10": "BLAST",
    }
    for seed, (name, kind) in enumerate(kinds.items()):
        for number in range(8):
            image, _ = draw_smear(seed=seed, number=number, classes=[kind], width=160, height=160)
            path = tmp_path / "own" / name / f"{number:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)
    edit_params(
        project,
        data__source="folders",
        sources__folders__path=str(tmp_path / "own"),
        clean__exclude=[],
        clean__window=64,
        models__compact_cnn__epochs=2,
        train__views=1,
        external=[{"source": "smears"}],
        gate__overall={},
        gate__per_class={},
        gate__calibration={},
    )
    assert executed(run(project, "dvc", "repro")) == STAGES
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--message=results")
    shutil.copytree(ROOT / "docs", project / "docs", dirs_exist_ok=True)
    for command in ("data-card", "model-card", "report", "publish", "compare"):
        run(project, "wbc", command)
    run(project, "wbc", "show", "HEAD")
    run(project, "wbc", "promote")
    truth = read_table(project / "metrics/predictions.csv", PREDICTIONS)["truth"]
    assert set(truth) == {"0", "1", "NA", "NULL", "TRUE", "10"}
    for card in ("docs/data-card-folders.md", "docs/model-card.md"):
        assert set(kinds) - {"True"} <= set(re.findall(r"\w+", (project / card).read_text()))


def test_an_edit_of_the_groups_is_noticed_and_nothing_else_is_done(tmp_path: Path) -> None:
    project, groups = make_project(tmp_path / "project"), tmp_path / "project" / "groups.csv"
    for number in range(4):
        image, _ = draw_smear(seed=0, number=number, classes=["BAND"], width=160, height=160)
        path = tmp_path / "own" / ("bands" if number < 2 else "blasts") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
    edit_params(project, data__source="folders", sources__folders__path=str(tmp_path / "own"))
    edit_params(project, data__groups__file="groups.csv")
    groups.write_text("id,group\nbands/0,P1\nbands/1,P2\n")
    assert executed(run(project, "dvc", "repro", "download")) == ["check", "download"]
    groups.write_text("id,group\nbands/0,P1\nbands/1,P1 \nblasts/2,p1\n")
    output = run(project, "dvc", "repro", "download")
    assert executed(output) == ["download"]
    assert "note: 'P1', 'p1' are 2 groups" in output
    assert pd.read_csv(project / "data/raw/records.csv", keep_default_na=False)["group"].tolist() == [
        "P1",
        "P1",
        "p1",
        "",
    ]
    assert executed(run(project, "dvc", "repro", "download")) == []


def kill_after_epoch_two(training: "subprocess.Popen[str]", project: Path) -> None:
    """Kill between the report of epoch 2 and the next checkpoint."""
    assert training.stderr is not None
    next(line for line in training.stderr if line.startswith("epoch 2/4:"))
    training.send_signal(signal.SIGKILL)


def kill_within_an_epoch(training: "subprocess.Popen[str]", project: Path) -> None:
    """Kill while the second epoch runs."""
    assert training.stderr is not None
    next(line for line in training.stderr if line.startswith("epoch 1/4:"))
    time.sleep(0.05)
    training.send_signal(signal.SIGKILL)


def kill_while_writing(training: "subprocess.Popen[str]", project: Path, *, pattern: str) -> None:
    """Kill while a file that fits ``pattern`` is there, the temporary name of one that is being written."""
    while training.poll() is None:
        if any(project.glob(pattern)):
            training.send_signal(signal.SIGSTOP)
            if any(project.glob(pattern)):
                training.send_signal(signal.SIGKILL)
                return
            training.send_signal(signal.SIGCONT)
    pytest.fail(f"the training ended, {pattern} was never seen")


KILLS = {
    "after an epoch": (kill_after_epoch_two, {1, 2}),  # 2 where 30 seconds have passed since the first
    "within an epoch": (kill_within_an_epoch, {1, 2}),
    "writing a checkpoint": (partial(kill_while_writing, pattern=".checkpoints/*/.state.part.npz"), {0, 1, 2, 3}),
    "writing the model": (partial(kill_while_writing, pattern="models/.model.part.keras"), {4}),
}


@pytest.mark.parametrize("moment", KILLS)
def test_a_killed_training_goes_on_to_the_same_bytes(project: Path, moment: str) -> None:
    kill, epochs = KILLS[moment]
    before = (project / "dvc.lock").read_bytes()
    (project / "models/model.keras").unlink()
    shutil.rmtree(project / ".dvc/cache/runs", ignore_errors=True)
    with subprocess.Popen(
        [sys.executable, "-m", "stages.train"], cwd=project, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    ) as training:
        kill(training, project)
    assert training.returncode == -signal.SIGKILL
    assert not (project / "models/model.keras").exists()
    output = run(project, "dvc", "repro", "--force", "--single-item", "train")
    resumed = re.search(r"goes on after (\d) of 4 epochs", output)
    assert (int(resumed[1]) if resumed else 0) in epochs
    assert (project / "dvc.lock").read_bytes() == before
    assert not any((project / ".checkpoints").iterdir())


@pytest.fixture
def ready_to_train(tmp_path: Path) -> Path:
    """A project of the stage train alone, with small drawn data and 40 epochs to go."""
    project = make_project(tmp_path)
    edit_params(project, models__compact_cnn__epochs=40, train__patience=None)
    yaml = YAML()
    stages = yaml.load(project / "dvc.yaml")["stages"]
    yaml.dump({"stages": {"train": stages["train"]}}, project / "dvc.yaml")
    images = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    for path in (project / "data", project / "models/pretrained"):
        path.mkdir(parents=True, exist_ok=True)
    (project / "data/params-checked.txt").touch()
    (project / "models/pretrained/weights.json").write_text('{"weights_requested": "random", "weights_used": "random"}')
    rows = [f"{n},{'AB'[n % 2]},{n},{'train' if n < 12 else 'validation'}" for n in range(16)]
    (project / "data/split.csv").write_text("\n".join(["id,label,group,split", *rows]) + "\n")
    rows = [f"{'AB'[n % 2]},original,{n},,0" for n in range(12)]
    (project / "data/train.csv").write_text("\n".join(["label,kind,id,partner,copy", *rows]) + "\n")
    np.save(project / "data/cells.npy", images)
    np.save(project / "data/train.npy", images[:12])
    return project


def test_a_killed_dvc_takes_its_training_along_and_the_next_one_gets_the_same_bytes(ready_to_train: Path) -> None:
    project = ready_to_train
    with subprocess.Popen(
        ["dvc", "repro"], cwd=project, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as first:
        assert first.stdout is not None
        next(line for line in first.stdout if line.startswith("epoch 2/40:"))
        training = json.loads((project / ".stage.json").read_text())
        assert training["stage"] == "train"
        first.send_signal(signal.SIGKILL)
        first.wait()  # a zombie would count as alive with DVC
        output = run(project, "dvc", "repro")
        assert not psutil.pid_exists(training["process"])
    assert executed(output) == ["train"]
    assert re.search(r"goes on after \d+ of 40 epochs", output)
    lock = (project / "dvc.lock").read_bytes()
    run(project, "dvc", "repro", "--force")
    assert (project / "dvc.lock").read_bytes() == lock


@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_an_experiment_where_outputs_are_links_into_the_cache(tmp_path: Path, kind: str) -> None:
    project = make_project(tmp_path)
    run(project, "dvc", "config", "--local", "cache.type", kind)
    assert executed(run(project, "dvc", "exp", "run", "split")) == ["check", "download", "clean", "split"]
    cached = {path: path.read_bytes() for path in (project / ".dvc/cache/files").rglob("*") if path.is_file()}
    assert not os.access(project / "data/split.csv", os.W_OK) or os.geteuid() == 0
    for stage in ("download", "clean", "split"):
        run(project, "python", "-m", f"stages.{stage}")
    assert executed(run(project, "dvc", "exp", "run", "-S", "seed=5", "split")) == ["check", "split"]
    assert all(path.read_bytes() == content for path, content in cached.items())


def test_a_queue_from_cold_lands_in_the_main_store_with_artifacts_that_open(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    run(project, "dvc", "exp", "run", "--queue", "-S", "split.folds=3", "-S", "split.fold=0,1")
    run(project, "dvc", "queue", "start", "--jobs", "2")
    patience = time.monotonic() + 400
    while re.search("Queued|Running", status := run(project, "dvc", "queue", "status")):
        assert time.monotonic() < patience, status
        time.sleep(2)
    assert status.count("Success") == 2, status
    store = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    [experiment] = [one for one in store.search_experiments() if one.name == "wbc"]
    runs = store.search_runs([experiment.experiment_id])
    assert sorted(one.data.params["split.fold"] for one in runs) == ["0", "1"]
    for one in runs:
        assert 0 <= one.data.metrics["test_macro_f1"] <= 1
        figure = store.download_artifacts(one.info.run_id, "figures/confusion_matrix.png", str(tmp_path))
        assert Path(figure).read_bytes().startswith(b"\x89PNG")
