"""Draws the figures of the stage evaluate: which there are, what each is called and what it shows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wbc.data.arrays import Image
from wbc.evaluate import probability_figures
from wbc.evaluate import score_figures as figures
from wbc.scores.predictions import Predicted, count_confusion
from wbc.scores.scores import flag_members
from wbc.scores.wording import format_measure


def draw_test(
    folder: Path, *, rows: pd.DataFrame, predicted: Predicted, images: Image, scores: Mapping[str, Any]
) -> None:
    """Draw where the model is right on the test part, where it is wrong, and what its probabilities are worth.

    ``rows`` of the manifest, one for each prediction, are at their index in ``images`` (images, height, width, 3);
    ``scores`` is the content of evaluation.json.
    """
    classes = list(scores["per_class"])
    counts = count_confusion(*predicted, classes=classes)
    figures.confusion_matrix(folder / "confusion_matrix.png", counts=counts, classes=classes)
    figures.class_measures(folder / "class_measures.png", per_class=scores["per_class"])
    figures.confusion_by_flag(
        folder / "confusion_by_flag.png",
        counts={
            name: count_confusion(predicted.truth[chosen], predicted.probabilities[chosen], classes=classes)
            for name, chosen in flag_members(rows["flags"].tolist()).items()
        },
        titles={
            name: f"{name}, n = {of['images']}\n{format_measure(of, 'accuracy', digits=2)} right"
            for name, of in scores["by_flag"].items()
        },
    )
    probability_figures.roc_curves(folder / "roc_curves.png", predicted=predicted, classes=classes)
    probability_figures.precision_recall_curves(
        folder / "precision_recall_curves.png", predicted=predicted, classes=classes
    )
    probability_figures.reliability_diagram(folder / "reliability_diagram.png", predicted=predicted, scores=scores)
    names = np.asarray(classes)
    figures.mistakes(
        folder / "mistakes.png",
        images=images,
        positions=rows.index.tolist(),
        truth=names[predicted.truth].tolist(),
        prediction=names[predicted.prediction].tolist(),
        confidence=predicted.confidence,
        identifiers=rows["id"].tolist(),
    )


def draw_run(folder: Path, *, images: Image, labels: Sequence[str], metrics: Path) -> None:
    """Draw how the model learnt and what the classes are made of, from what the stages wrote into ``metrics``.

    ``images`` (images, height, width, 3) are those of all parts, of the classes ``labels`` (images,).
    """
    cleaned, parts, augmented = (
        json.loads((metrics / f"{stage}.json").read_text()) for stage in ("clean", "split", "augment")
    )
    figures.learning_curves(folder / "learning_curves.png", history=pd.read_csv(metrics / "history.csv"))
    figures.class_distribution(
        folder / "class_distribution.png",
        stages={
            "labelled": cleaned["labelled"],
            "cleaned": cleaned["classes"],
            "training part": parts["train"]["classes"],
            "balanced": {name: sum(kinds.values()) for name, kinds in augmented["classes"].items()},
        },
    )
    figures.average_images(folder / "average_images.png", images=images, labels=labels)
    figures.pixel_distribution(folder / "pixel_distribution.png", images=images, labels=labels)
