"""Draws what the model looks at, and how its features set the classes apart."""

import json
from pathlib import Path

import pandas as pd

from wbc.base.params import read_number
from wbc.base.stage import run_stage
from wbc.data.arrays import read_images
from wbc.data.tables import PREDICTIONS, SPLIT, read_table
from wbc.explain.explain import choose_examples, explain, last_features
from wbc.explain.figures import embedding_map, evidence_maps
from wbc.inference.determinism import make_deterministic
from wbc.inference.inference import load_model, predict

FIGURES = Path("metrics/figures/explain")


def main() -> None:
    """Model, images and predictions of the test part in, figures out."""
    make_deterministic(seed=read_number("seed"), threads=read_number("threads"))
    split, cells = read_table(Path("data/split.csv"), SPLIT), read_images(Path("data/cells.npy"))
    classes: list[str] = json.loads(Path("metrics/train.json").read_text())["classes"]
    model = load_model(Path("models/model.keras"))
    predictions = read_table(Path("metrics/predictions.csv"), PREDICTIONS).set_axis(
        split.index[split["split"] == "test"], axis="index"
    )

    examples = choose_examples(predictions, classes=classes)
    images = cells[examples.index]
    explanation = explain(model, images, classes=pd.Categorical(examples["prediction"], classes).codes)
    evidence_maps(FIGURES / "evidence.png", examples=examples, images=images, explanation=explanation)

    body, training = last_features(model), split[split["split"] == "train"]
    embedding_map(
        FIGURES / "embedding.png",
        training=predict(body, cells, positions=training.index),
        training_labels=training["label"].tolist(),
        test=predict(body, cells, positions=predictions.index),
        truth=predictions["truth"].tolist(),
        prediction=predictions["prediction"].tolist(),
    )
    print(f"{explanation.method} of {len(examples)} test images: look at {FIGURES}")


if __name__ == "__main__":
    run_stage("explain", main)
