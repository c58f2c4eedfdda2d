"""Puts a run on one HTML page that needs no other file: tables, figures, parameters."""

import base64
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from wbc.base.files import written_aside
from wbc.cards.results import CALIBRATION, CLASS_HEADER, OVERALL, Results, confusions, describe_averaging, measure_rows
from wbc.cards.templating import fill_template
from wbc.data.tables import SPLITS
from wbc.evaluate.page import class_rows
from wbc.evaluate.review import describe_review
from wbc.scores.wording import format_measure
from wbc.tools.fallback import fell_back

_HEADLINES = ("accuracy", "balanced accuracy", "macro F1", "AUROC")
_LARGE = 120_000  # bytes of a PNG, beyond which it is mostly photographs
_QUALITY = 85  # of the JPEG that then takes its place

# Section: the figures that it shows, by stage and name. What is not here comes last, under its own name.
_SECTIONS = {
    "Right and wrong": {
        "evaluate/confusion_matrix": "Confusion matrix of the test part",
        "evaluate/class_measures": "Measures of each class, with their intervals",
        "evaluate/roc_curves": "ROC curves, each class against the rest",
        "evaluate/precision_recall_curves": "Precision and recall, each class against the rest",
        "evaluate/confusion_by_flag": "Confusion by what is unusual about the photograph",
    },
    "What the probabilities are worth": {
        "evaluate/reliability_diagram": "Confidence against the share of right predictions",
        "evaluate/coverage_risk_curves": "Errors among the predictions that are kept, by the share kept",
    },
    "Mistakes": {
        "evaluate/mistakes": "The wrong predictions, the most confident first",
        "explain/evidence": "What in the image speaks for the prediction",
        "explain/embedding": "The test part as the last layer sees it",
    },
    "Labels in doubt": {
        "suspects/gallery": "Labels that the images contradict, for a person to judge",
    },
    "Training": {
        "evaluate/learning_curves": "Learning curves",
        "augment/views": "What the training part is filled up with",
    },
    "Data": {
        "evaluate/class_distribution": "Images of each class, stage by stage",
        "clean/cells": "Cells as the model gets them",
        "evaluate/average_images": "The mean image of each class",
        "evaluate/pixel_distribution": "Colours of each class",
        "clean/twins": "Photographs of the same field",
        "clean/flags": "Photographs with a flag",
    },
}


class Picture(NamedTuple):
    """A figure of the page: its caption and its bytes as a data URI."""

    caption: str
    uri: str


def write_report(path: Path, results: Results, *, name: str) -> None:
    """Write the page of ``results`` to ``path``; ``name`` says which commit or experiment they are of."""
    page = fill_template("report.html", **_content(results, name=name))
    with written_aside(path) as aside:
        aside.write_text(page)


def _content(results: Results, *, name: str) -> dict[str, Any]:
    evaluation, training = results.evaluation, results.training
    predictions = results.predictions
    wrong = predictions[predictions["truth"] != predictions["prediction"]]
    confidence = wrong.filter(like="probability_").max(axis=1)
    return {
        "name": name,
        "model": training["model"],
        "training": training,
        "random_by_accident": fell_back(training),
        "averaged": describe_averaging(results),
        "strategy": results.parts["strategy"],
        "parts": {part: results.parts[part] for part in SPLITS},
        "source": results.source,
        "digests": results.digests,
        "evaluation": evaluation,
        "headlines": {title: format_measure(evaluation, OVERALL[title]) for title in _HEADLINES},
        "measures": [*measure_rows(evaluation, OVERALL), *measure_rows(evaluation, CALIBRATION)],
        "class_header": CLASS_HEADER,
        "class_rows": list(class_rows(evaluation["per_class"])),
        "confusions": confusions(predictions),
        "review": describe_review(evaluation["review"]) if evaluation.get("review") else None,
        "mistakes": wrong.assign(confidence=confidence).sort_values(["confidence", "id"], ascending=[False, True]),
        "suspects": results.suspects,
        "sections": _sections(results.folder / "figures", stale=results.stale),
        "settings": results.settings,
    }


def _sections(figures: Path, *, stale: Collection[str]) -> dict[str, list[Picture]]:
    """Return the pictures of each section that has any, without those of the ``stale`` stages."""
    paths = (path for path in sorted(figures.glob("*/*.png")) if path.parent.name not in stale)
    left = {path.relative_to(figures).with_suffix("").as_posix(): path for path in paths}
    sections = {
        title: [Picture(caption, _data_uri(left.pop(name))) for name, caption in captions.items() if name in left]
        for title, captions in _SECTIONS.items()
    }
    sections["Other figures"] = [Picture(name, _data_uri(path)) for name, path in left.items()]
    return {title: pictures for title, pictures in sections.items() if pictures}


def _data_uri(path: Path) -> str:
    """Return the PNG at ``path`` as a data URI, a large one as JPEG, so that the page stays small enough to send."""
    content, kind = path.read_bytes(), "png"
    if len(content) > _LARGE:
        _, encoded = cv2.imencode(".jpg", cv2.imread(str(path)), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        content, kind = encoded.tobytes(), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
