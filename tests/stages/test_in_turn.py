"""The stages from split on, one after the other, and again with noise in place of the photographs of the test part."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from wbc.train.calibration import fit_temperature

ROOT = Path(__file__).parents[2]
CLASSES = ["EOSINOPHIL", "LYMPHOCYTE", "NEUTROPHIL"]
FAST = {"optimizer": "adam", "learning_rate": 0.005, "batch_size": 8}
LEARNT = [
    *("data/split.csv", "data/train.npy", "data/train.csv", "models/model.keras"),
    *("metrics/split.json", "metrics/augment.json", "metrics/history.csv", "metrics/train.json"),
]
# TensorFlow starts once for both folders, in a process of its own: its threads are fixed for good.
PROGRAM = """
import json, os, pathlib, sys
import keras, numpy, pandas
from stages import augment, evaluate, explain, external, split, suspects, train, weights

for folder in sys.argv[1:]:
    os.chdir(folder)
    keras.utils.clear_session()  # layers are numbered from 1 again, as in a process of their own
    split.main()
    if folder.endswith("noise"):
        cells, parts = numpy.load("data/cells.npy"), pandas.read_csv("data/split.csv")["split"]
        tested = numpy.flatnonzero(parts == "test")
        cells[tested] = numpy.random.default_rng(9).integers(0, 256, cells[tested].shape, dtype="uint8")
        numpy.save("data/cells.npy", cells)
    augment.main()
    weights.main()
    record = pathlib.Path("models/pretrained/weights.json")
    record.write_text(record.read_text().replace('requested": "random"', 'requested": "auto"'))
    figures = [train.main(), evaluate.main()]
os.chdir(sys.argv[1])
json.dump(figures, open("figures.json", "w"))
for stage in (explain, external, suspects):
    stage.main()
"""


def prepare(folder: Path) -> Path:
    """Write what the stage clean leaves of 60 pictures, of three classes hard to tell apart, and params.yaml."""
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["model"] = "compact_cnn"
    params["models"]["compact_cnn"] |= {"input": [40, 40], "epochs": 6, "l2": 0.0} | FAST
    params["split"] |= {"folds": 4, "validation": 0.3}
    params["augment"] |= {"target_per_class": 16, "copies": 1, "neighbours": 2}
    params["train"] |= {"views": 1, "temperature": True, "tensorboard": True, "schedule": "constant"}
    params["train"]["label_smoothing"] = 0.0
    params["evaluate"]["wished_error"] = 0.2
    params["external"] = [{"source": "smears"}]
    none = dict.fromkeys(("multi_cell", "twins", "unlabelled", "missing", "corrupt", "duplicates"), 0)
    counts = {"counts": {"NEUTROPHIL": 1, "BASOPHIL": 1}}
    params["sources"]["smears"] |= none | counts | {"width": 160, "height": 160}
    params["clean"] |= {"size": [40, 40], "window": 64, "twins": False}
    for part in ("data", "metrics"):
        (folder / part).mkdir(parents=True)
    YAML().dump(params, folder / "params.yaml")
    labels = CLASSES * 20
    draws = np.random.default_rng(5)
    brightness = np.array([60, 100, 140] * 20) + draws.normal(0, 25, 60)
    images = brightness[:, None, None, None] + draws.normal(0, 40, (60, 40, 40, 3))
    np.save(folder / "data" / "cells.npy", images.clip(0, 255).astype(np.uint8))
    ids = [f"{number:02d}" for number in range(60)]
    columns: dict[str, Any] = {"id": ids, "label": labels, "group": ids, "part": "", "file": ids}
    numbers = {"width": 160, "height": 160, "nucleus_x": 80.0, "nucleus_y": 80.0, "nucleus_area": 900, "boxes": 0}
    box = dict.fromkeys(("box_left", "box_top", "box_right", "box_bottom"), np.nan)
    flags = {"flags": ["too_dark", "", ""] * 20}
    pd.DataFrame(columns | numbers | box | flags).to_csv(folder / "data" / "manifest.csv", index=False)
    counted = dict.fromkeys(CLASSES, 20)
    (folder / "metrics" / "clean.json").write_text(json.dumps({"labelled": counted, "classes": counted}))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders in which the stages have run: the second has noise in place of the photographs of the test part."""
    top = tmp_path_factory.mktemp("honesty")
    plain, noise = prepare(top / "plain"), prepare(top / "noise")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "WBC_"))}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-c", PROGRAM, str(plain), str(noise)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (top / "said.txt").write_text(done.stdout + done.stderr)
    return plain, noise


@pytest.fixture
def plain(folders: tuple[Path, Path]) -> Path:
    return folders[0]


def read(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / "metrics" / f"{name}.json").read_text())


def predict(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Return the probabilities of the saved model for a part of the split, the class indices and the rows."""
    split = pd.read_csv(folder / "data" / "split.csv", dtype=str)
    rows = split[split["split"] == part]
    images = np.load(folder / "data" / "cells.npy")[rows.index]
    model = keras.saving.load_model(folder / "models" / "model.keras")
    return model.predict(images, verbose=0), pd.Categorical(rows["label"], CLASSES).codes, rows


@pytest.mark.parametrize("file", LEARNT)
def test_what_is_learnt_and_chosen_does_not_depend_on_the_test_photographs(
    folders: tuple[Path, Path], file: str
) -> None:
    plain, noise = folders
    assert (plain / file).read_bytes() == (noise / file).read_bytes()


def test_the_threshold_of_the_review_does_not_depend_on_the_test_photographs(folders: tuple[Path, Path]) -> None:
    chosen, other = (read(folder, "evaluation")["review"] for folder in folders)
    for name in ("wished_error", "threshold", "validation_coverage", "validation_error"):
        assert chosen[name] == other[name]
    assert 0 < chosen["threshold"] < 1


def test_the_scores_are_those_of_the_test_photographs(folders: tuple[Path, Path]) -> None:
    plain, noise = (read(folder, "evaluation") for folder in folders)
    assert plain["accuracy"] > noise["accuracy"]
    assert plain["images"] == 15


def test_the_parts_are_those_of_the_parameters(plain: Path) -> None:
    assert {part: read(plain, "split")[part]["images"] for part in ("train", "validation", "test")} == {
        "train": 27,
        "validation": 18,
        "test": 15,
    }


def test_training_keeps_the_epoch_that_is_best_on_the_validation_part(plain: Path) -> None:
    training, history = read(plain, "train"), pd.read_csv(plain / "metrics" / "history.csv")
    assert (training["model"], training["classes"], training["weights_used"]) == ("compact_cnn", CLASSES, "random")
    assert len(history) == 6
    assert training["best_epoch"] == history["val_loss"].idxmin() + 1
    probabilities, truth, _ = predict(plain, "validation")
    assert training["validation_accuracy"] == pytest.approx((probabilities.argmax(axis=1) == truth).mean())


def test_random_weights_that_nobody_asked_for_are_said_before_and_after_training(plain: Path) -> None:
    assert read(plain, "train")["weights_requested"] == "auto"
    assert said(plain).count("compact_cnn starts from RANDOM weights") == 2 * 2  # in two folders


def test_the_temperature_is_that_of_the_validation_part_and_in_the_model(plain: Path) -> None:
    temperature = read(plain, "train")["temperature"]
    model = keras.saving.load_model(plain / "models" / "model.keras")
    assert model.get_layer("temperature").scale == pytest.approx(1 / temperature)
    assert temperature != 1
    probabilities, truth, _ = predict(plain, "validation")
    assert fit_temperature(probabilities, truth) == pytest.approx(1, abs=0.01)
    assert f"temperature {temperature:g}, fitted on 18 images of the validation part" in said(plain)


def test_a_training_leaves_its_logs_and_no_checkpoint(plain: Path) -> None:
    assert not list((plain / ".checkpoints").iterdir())
    assert list((plain / "tensorboard").glob("*/events.out.tfevents*"))
    training, evaluation = json.loads((plain / "figures.json").read_text())
    assert training["images_per_second"] > 0
    assert training["resumed_epochs"] == 0
    assert evaluation["images_per_second"] > 0


def test_the_evaluation_writes_what_the_model_says_of_the_test_part(plain: Path) -> None:
    predictions, scores = (
        pd.read_csv(plain / "metrics" / "predictions.csv", dtype={"id": str}),
        read(plain, "evaluation"),
    )
    probabilities, truth, rows = predict(plain, "test")
    assert predictions["id"].tolist() == rows["id"].tolist()
    assert predictions["truth"].tolist() == rows["label"].tolist()
    np.testing.assert_allclose(predictions.filter(like="probability_"), probabilities, atol=1e-5)
    assert scores["accuracy"] == pytest.approx((probabilities.argmax(axis=1) == truth).mean())
    assert scores["split_strategy"] == "grouped"
    assert scores["twins"] == "not sought"
    assert scores["by_flag"]["too_dark"]["images"] == 5
    assert [row["true"] for row in scores["differential"].values()] == pytest.approx([1 / 3] * 3)
    review = predictions.filter(like="probability_").max(axis=1) < scores["review"]["threshold"]
    assert predictions["review"].tolist() == review.tolist()
    assert "# The test part: 15 images" in (plain / "metrics" / "evaluation.md").read_text()
    assert f"test part of the grouped split: 15 images, accuracy {scores['accuracy']:.3f} (" in said(plain)
    assert f"a confidence below {scores['review']['threshold']:.3f} are marked for review" in said(plain)


def test_the_threshold_is_chosen_on_the_validation_part(plain: Path) -> None:
    review = read(plain, "evaluation")["review"]
    probabilities, truth, _ = predict(plain, "validation")
    accepted = probabilities.max(axis=1) >= review["threshold"] - 1e-6
    assert review["validation_coverage"] == pytest.approx(accepted.mean())
    assert review["validation_error"] == pytest.approx((probabilities.argmax(axis=1) != truth)[accepted].mean())
    assert review["wished_error"] == 0.2


@pytest.mark.parametrize(
    "figure",
    [
        *("augment/views", "evaluate/confusion_matrix", "evaluate/coverage_risk_curves", "evaluate/learning_curves"),
        *("explain/evidence", "explain/embedding", "suspects/gallery"),
    ],
)
def test_figures_are_drawn(plain: Path, figure: str) -> None:
    assert (plain / "metrics" / "figures" / f"{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_the_explanation_says_of_how_many_images_it_is(plain: Path) -> None:
    table = pd.read_csv(plain / "metrics" / "predictions.csv")
    table = table.assign(right=table["truth"] == table["prediction"])
    shown = table.groupby(["truth", "right"]).size().clip(upper=2).sum()
    assert f"Grad-CAM of {shown} test images: look at metrics/figures/explain" in said(plain)


def test_another_source_is_scored_as_far_as_the_model_knows_its_classes(plain: Path) -> None:
    scores, table = read(plain, "external"), pd.read_csv(plain / "metrics" / "external.csv")
    assert list(scores) == ["smears"]
    assert scores["smears"]["known"]["images"] == 1
    assert list(scores["smears"]["unknown"]) == ["BASOPHIL"]
    assert table["source"].tolist() == ["smears", "smears"]
    assert table["truth"].tolist() == ["BASOPHIL", "NEUTROPHIL"]
    assert "smears: 1 images, accuracy" in said(plain)


def test_labels_in_doubt_are_ranked(plain: Path) -> None:
    suspects = pd.read_csv(plain / "metrics" / "suspects.csv", dtype={"id": str})
    labels = pd.read_csv(plain / "data" / "split.csv", dtype=str).set_index("id")["label"]
    assert 0 < len(suspects) < 60
    assert suspects["label"].tolist() == labels[suspects["id"]].tolist()
    assert suspects["margin"].is_monotonic_increasing
    assert f"{len(suspects)} of 60 labels are in doubt: look at metrics/figures/suspects/gallery.png" in said(plain)


def said(folder: Path) -> str:
    """Return what the stages printed."""
    return (folder.parent / "said.txt").read_text()
