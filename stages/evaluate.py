"""Looks at the held-out test part, once, and draws the figures of the whole run."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from wbc import figures
from wbc.arrays import Image, read_images
from wbc.determinism import make_deterministic
from wbc.files import write_csv, write_json
from wbc.inference import load_model, measure_speed, predict
from wbc.manifest import SPLIT, read_table
from wbc.params.base import read_number, read_section
from wbc.params.evaluate import EvaluateParams
from wbc.scores import count_confusion, describe, evaluate_with_intervals, predictions_table
from wbc.stage import run_stage

FIGURES = Path("metrics/figures/evaluate")
DATA_STAGES = ("clean", "split", "augment")


def main() -> dict[str, float]:
    """Model and test part in, scores, predictions and figures out."""
    make_deterministic(seed=read_number("seed"), threads=read_number("threads"))
    split, cells = read_table(Path("data/split.csv"), SPLIT), read_images(Path("data/cells.npy"))
    classes: list[str] = json.loads(Path("metrics/train.json").read_text())["classes"]
    test = split[split["split"] == "test"]
    truth = pd.Categorical(test["label"], classes).codes
    model, views = load_model(Path("models/model.keras")), read_section(EvaluateParams, "evaluate").views
    probabilities = predict(model, cells, positions=test.index, views=views).round(6)
    scores = evaluate_with_intervals(truth, probabilities, groups=test["group"].tolist(), classes=classes)
    predictions = predictions_table(test["id"].tolist(), test["group"].tolist(), truth, probabilities, classes)
    strategy = json.loads(Path("metrics/split.json").read_text())["strategy"]
    write_json(Path("metrics/evaluation.json"), {"split_strategy": strategy, **scores})
    write_csv(Path("metrics/predictions.csv"), predictions)
    merits = ", ".join(describe(scores, metric) for metric in ("accuracy", "balanced_accuracy", "macro_f1"))
    print(f"test part of the {strategy} split: {scores['images']} images, {merits}")
    draw_results(predictions, cells, positions=test.index.tolist(), probabilities=probabilities, classes=classes)
    draw_data(cells, labels=split["label"].tolist())
    return {"images_per_second": measure_speed(model, cells, positions=test.index, views=views)}


def draw_results(
    predictions: pd.DataFrame, images: Image, *, positions: list[int], probabilities: np.ndarray, classes: list[str]
) -> None:
    """Draw how the model learned and where it is right and wrong."""
    truth = pd.Categorical(predictions["truth"], classes).codes
    counts = count_confusion(truth, probabilities, classes=classes)
    figures.confusion_matrix(FIGURES / "confusion_matrix.png", counts=counts, classes=classes)
    figures.roc_curves(FIGURES / "roc_curves.png", truth=truth, probabilities=probabilities, classes=classes)
    figures.mistakes(
        FIGURES / "mistakes.png",
        images=images,
        positions=positions,
        truth=predictions["truth"].tolist(),
        prediction=predictions["prediction"].tolist(),
        confidence=probabilities.max(axis=1),
        identifiers=predictions["id"].tolist(),
    )
    figures.learning_curves(FIGURES / "learning_curves.png", history=pd.read_csv("metrics/history.csv"))


def draw_data(images: Image, *, labels: list[str]) -> None:
    """Draw what the classes are made of, from the counts that the data stages wrote."""
    cleaned, parts, augmented = (json.loads(Path(f"metrics/{name}.json").read_text()) for name in DATA_STAGES)
    figures.class_distribution(
        FIGURES / "class_distribution.png",
        stages={
            "labelled": cleaned["labelled"],
            "cleaned": cleaned["classes"],
            "training part": parts["train"]["classes"],
            "balanced": {name: sum(kinds.values()) for name, kinds in augmented["classes"].items()},
        },
    )
    figures.average_images(FIGURES / "average_images.png", images=images, labels=labels)
    figures.pixel_distribution(FIGURES / "pixel_distribution.png", images=images, labels=labels)


if __name__ == "__main__":
    run_stage("evaluate", main)
