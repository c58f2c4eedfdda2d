"""Looks at the held-out test part, once, and draws the figures of the whole run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wbc.base.files import write_csv, write_json, written_aside
from wbc.base.params import read_number, read_params, read_section
from wbc.base.stage import run_stage
from wbc.data.arrays import read_images
from wbc.data.tables import MANIFEST, SPLIT, read_table
from wbc.evaluate.differential import differential_count
from wbc.evaluate.figures import draw_run, draw_test
from wbc.evaluate.page import render_evaluation
from wbc.evaluate.params import EvaluateParams
from wbc.evaluate.probability_figures import coverage_risk_curves
from wbc.evaluate.review import describe_review, needs_review, score_review
from wbc.inference.determinism import make_deterministic
from wbc.inference.inference import load_model, measure_speed, predict
from wbc.scores.predictions import Predicted, predictions_table
from wbc.scores.scores import evaluate_with_intervals, score_by_flag
from wbc.scores.wording import describe_measure

METRICS = Path("metrics")
FIGURES = METRICS / "figures" / "evaluate"


def main() -> dict[str, float]:
    """Model, test and validation part in; scores, predictions and figures out."""
    make_deterministic(seed=read_number("seed"), threads=read_number("threads"))
    params, images = read_section(EvaluateParams, "evaluate"), read_images(Path("data/cells.npy"))
    classes: list[str] = json.loads((METRICS / "train.json").read_text())["classes"]
    split, model = read_split(), load_model(Path("models/model.keras"))
    rows = {part: split[split["split"] == part] for part in ("test", "validation")}
    predicted = {
        part: Predicted(
            pd.Categorical(members["label"], classes).codes,
            predict(model, images, positions=members.index).astype(np.float64).round(6),
        )
        for part, members in rows.items()
    }
    scores = score(predicted, rows=rows["test"], classes=classes, wished_error=params.wished_error)
    if not read_params()["clean"]["twins"]:  # plain text: code that cleans says nothing of scores
        scores["twins"] = "not sought"  # which the gate says of the split
    report(scores)
    write_csv(METRICS / "predictions.csv", tabulate(predicted["test"], rows=rows["test"], scores=scores))
    draw_test(FIGURES, rows=rows["test"], predicted=predicted["test"], images=images, scores=scores)
    coverage_risk_curves(FIGURES / "coverage_risk_curves.png", parts=predicted, review=scores["review"])
    draw_run(FIGURES, images=images, labels=split["label"].tolist(), metrics=METRICS)
    return {"images_per_second": measure_speed(model, images, positions=rows["test"].index)}


def read_split() -> pd.DataFrame:
    """Return the split with the flags of the manifest, which has the same rows."""
    manifest = read_table(Path("data/manifest.csv"), MANIFEST)
    return read_table(Path("data/split.csv"), SPLIT).assign(flags=manifest["flags"])


def score(
    predicted: dict[str, Predicted], *, rows: pd.DataFrame, classes: list[str], wished_error: float | None
) -> dict[str, Any]:
    """Return the content of evaluation.json: all but the threshold of the review is of the test part, of ``rows``."""
    test, groups = predicted["test"], rows["group"].tolist()
    return {
        "split_strategy": json.loads((METRICS / "split.json").read_text())["strategy"],
        **evaluate_with_intervals(*test, groups=groups, classes=classes),
        "differential": differential_count(test, groups=groups, classes=classes),
        "by_flag": score_by_flag(test, flags=rows["flags"].tolist(), groups=groups),
        "review": score_review(test, predicted["validation"], groups=groups, wished_error=wished_error),
    }


def report(scores: dict[str, Any]) -> None:
    """Write the scores for programs and for people, and print the first of them."""
    write_json(METRICS / "evaluation.json", scores)
    with written_aside(METRICS / "evaluation.md") as aside:
        aside.write_text(render_evaluation(scores))
    merits = ", ".join(describe_measure(scores, metric) for metric in ("accuracy", "balanced_accuracy", "macro_f1"))
    print(f"test part of the {scores['split_strategy']} split: {scores['images']} images, {merits}")
    print(describe_review(scores["review"]))


def tabulate(test: Predicted, *, rows: pd.DataFrame, scores: dict[str, Any]) -> pd.DataFrame:
    """Return the predictions of ``rows`` and which of them a person is to review."""
    table = predictions_table(rows["id"].tolist(), rows["group"].tolist(), *test, classes=list(scores["per_class"]))
    review = scores["review"]
    return table.assign(review=needs_review(test.confidence, review["threshold"]) if review else False)


if __name__ == "__main__":
    run_stage("evaluate", main)
