"""Trains the model named by `model` and keeps its best epoch."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from wbc.base.files import write_csv, write_json
from wbc.base.params import read_number, read_params, read_section
from wbc.base.root import project_root
from wbc.base.stage import run_stage
from wbc.data.arrays import read_images
from wbc.data.tables import SPLIT, TRAIN, read_table
from wbc.inference.determinism import make_deterministic
from wbc.models.custom import load_function
from wbc.models.params import CustomParams, read_model
from wbc.tools.fallback import warn_if_fallen_back
from wbc.train.calibration import calibrate
from wbc.train.checkpoints import checkpoint_path, held_checkpoint, remove_checkpoint
from wbc.train.model_file import save_model
from wbc.train.params import TrainParams
from wbc.train.state import Examples
from wbc.train.training import describe_devices, describe_training, train

CELLS, SPLIT_FILE = Path("data/cells.npy"), Path("data/split.csv")
IMAGES, TABLE = Path("data/train.npy"), Path("data/train.csv")
PRETRAINED = Path("models/pretrained")


def main() -> dict[str, float]:
    """Training and validation part in, model and history out."""
    name, seed, threads = read_params()["model"], read_number("seed"), read_number("threads")
    model_params, train_params = read_model(name), read_section(TrainParams, "train")
    make_deterministic(seed=seed, threads=threads)
    print(describe_devices(threads=threads), file=sys.stderr)  # among the lines of the epochs, which it explains
    training, validation, classes = read_examples()
    origin: dict[str, Any] = json.loads((PRETRAINED / "weights.json").read_text())
    pretrained = next((path for path in PRETRAINED.iterdir() if path.suffix != ".json"), None)
    warn_if_fallen_back(origin, model=name)
    if isinstance(model_params, CustomParams):
        load_function(model_params)  # its module is of the code that the checkpoint belongs to
    checkpoint = checkpoint_path(
        files=[CELLS, SPLIT_FILE, IMAGES, TABLE, *filter(None, [pretrained])],
        params=[name, seed, threads, model_params.model_dump(), train_params.model_dump()],
    )
    with held_checkpoint(checkpoint):
        trained = train(
            training,
            validation,
            classes=len(classes),
            model_name=name,
            model_params=model_params,
            train_params=train_params,
            pretrained=pretrained,
            checkpoint=checkpoint,
            tensorboard=project_root() / "tensorboard" / checkpoint.parent.name if train_params.tensorboard else None,
            seed=seed,
        )
        model, temperature = trained.model, None
        if train_params.temperature:
            images, positions, labels = validation
            model, temperature = calibrate(model, images, positions=positions, labels=labels)
            print(f"temperature {temperature:g}, fitted on {len(labels)} images of the validation part")
        save_model(model, Path("models/model.keras"))
        write_csv(Path("metrics/history.csv"), trained.history)
        facts = {"model": name, "classes": classes, **origin, **describe_training(trained), "temperature": temperature}
        write_json(Path("metrics/train.json"), facts)
        remove_checkpoint(checkpoint)
    warn_if_fallen_back(origin, model=name)
    return {"images_per_second": trained.images_per_second, "resumed_epochs": trained.resumed_epochs}


def read_examples() -> tuple[Examples, Examples, list[str]]:
    """Return the training part as augmented, the validation part as it is, and the class names, sorted."""
    split, table = read_table(SPLIT_FILE, SPLIT), read_table(TABLE, TRAIN)
    classes = sorted(split["label"].unique())
    held_out = split.index[split["split"] == "validation"]
    parts = [(IMAGES, table.index, table["label"]), (CELLS, held_out, split["label"][held_out])]
    training, validation = (
        Examples(read_images(path), positions.to_numpy(), pd.Categorical(labels, classes).codes)
        for path, positions, labels in parts
    )
    return training, validation, classes


if __name__ == "__main__":
    run_stage("train", main)
