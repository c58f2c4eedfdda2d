import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from wbc.base.files import write_csv, write_json

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What the stages before `train` leave of six images of 40x40 px, set for one epoch of a small network."""
    (tmp_path / "data").mkdir()
    (tmp_path / "models/pretrained").mkdir(parents=True)
    params = YAML().load(ROOT / "params.yaml")
    params["model"] = "compact_cnn"
    params["models"]["compact_cnn"].update(input=[40, 40], epochs=1)
    params["train"].update(views=1)
    YAML().dump(params, tmp_path / "params.yaml")
    ids, labels = [f"{number}" for number in range(6)], ["A", "B"] * 3
    parts = ["train"] * 4 + ["validation"] * 2
    for name in ("cells", "train"):
        np.save(tmp_path / f"data/{name}.npy", np.zeros((6, 40, 40, 3), np.uint8))
    write_csv(tmp_path / "data/split.csv", pd.DataFrame({"id": ids, "label": labels, "group": ids, "split": parts}))
    rows = {"label": labels, "kind": "original", "id": ids, "partner": "", "copy": 0}
    write_csv(tmp_path / "data/train.csv", pd.DataFrame(rows))
    origin = {"weights_requested": "random", "weights_used": "random", "origin": "none"}
    write_json(tmp_path / "models/pretrained/weights.json", origin)
    return tmp_path


def test_a_training_says_what_it_computes_on_and_tensorflow_says_nothing(project: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in {"TF_CPP_MIN_LOG_LEVEL", "DVC_ROOT"}}
    environment = inherited | {"TF_ENABLE_ONEDNN_OPTS": "1"}  # of which TensorFlow would speak on every processor
    command = [sys.executable, "-m", "stages.train"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    devices, epoch = done.stderr.splitlines()
    assert re.fullmatch(r"no GPU, 2 threads|GPU: .+", devices)
    assert epoch.startswith("epoch 1/1: loss ")


NETWORK = """
import keras

def build(*, image_shape, classes, params):
    image = keras.Input(image_shape, dtype="uint8")
    hidden = keras.layers.Dense(4, activation="relu")(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax")(hidden))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("edited", "resumed"), [("own.py", False), ("stages/train.py", False), (None, True)])
def test_a_killed_training_goes_on_unless_the_code_has_changed(
    project: Path, edited: str | None, resumed: bool
) -> None:
    (project / "own.py").write_text(NETWORK)
    shutil.copytree(ROOT / "stages", project / "stages")
    params = YAML().load(project / "params.yaml")
    params["model"] = "custom"
    params["models"]["custom"].update(build="own:build", epochs=100)
    params["train"].update(patience=None)
    YAML().dump(params, project / "params.yaml")
    command = [sys.executable, "-m", "stages.train"]
    with subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True) as training:
        assert training.stderr is not None
        next(line for line in training.stderr if line.startswith("epoch 2/100:"))
        training.kill()
    if edited:
        text = (project / edited).read_text()
        (project / edited).write_text(f"{text}\n# edited\n")
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert ("goes on after" in done.stderr) == resumed
