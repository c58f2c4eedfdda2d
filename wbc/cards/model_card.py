"""Writes the model card (Mitchell et al. 2019) of the last run from what its stages wrote."""

import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wbc.base.files import written_aside
from wbc.cards.data_card import tabulate_data
from wbc.cards.results import CALIBRATION, CLASS_HEADER, OVERALL, Results, confusions, describe_averaging, measure_rows
from wbc.cards.templating import fill_template
from wbc.data.tables import SPLITS
from wbc.evaluate.page import class_rows
from wbc.evaluate.review import describe_review
from wbc.scores.wording import describe_measure
from wbc.tools.fallback import fell_back
from wbc.tools.markdown import render_table

_PICTURES = (
    "evaluate/confusion_matrix",
    "evaluate/reliability_diagram",
    "evaluate/mistakes",
    "explain/evidence",
    "explain/embedding",
)
_SPLITS = {
    "grouped": "Stratified by class. Photographs of one cell or field are one group, and no group is in two parts.",
    "predefined": "The official parts of the source; where it lacks a validation part, that is cut from training.",
    "blocks": "Validation and test are runs of each class in file order, so that neighbours stay together.",
    "random": "Stratified by class only: photographs of one cell may be in two parts, which flatters.",
    "leaky": "Views of test images are in the training part: the figures below are no estimate of anything.",
}
_CROPS = {
    "cell": "a window of {window} px round the nucleus, made as small",
    "whole": "the whole photograph, made as small",
}
_PACKAGES = ("keras", "tensorflow", "numpy", "opencv-python-headless", "scikit-learn", "dvc", "mlflow")


def write_model_card(path: Path, results: Results) -> None:
    """Write the card of the model that ``results`` are about; its links to pictures are relative to ``path``.

    Raises ValueError for results without labels in doubt.
    """
    page = fill_template("model-card.md", **_content(results, folder=path.parent))
    with written_aside(path) as aside:
        aside.write_text(page)


def _content(results: Results, *, folder: Path) -> dict[str, Any]:
    evaluation, training = results.evaluation, results.training
    if results.suspects is None:
        raise ValueError("metrics/suspects.csv is of another run, and the card tells of it: `dvc repro suspects`")
    model = training["model"]
    figures = results.folder / "figures"
    return {
        "model": model,
        "settings": results.params["models"][model],
        "params": results.params,
        "training": training,
        "random_by_accident": fell_back(training),
        "averaged": describe_averaging(results),
        "source": results.source,
        "crop": _CROPS[results.params["clean"]["crop"]].format(**results.params["clean"]),
        "strategy": results.parts["strategy"],
        "parts": {part: results.parts[part] for part in SPLITS},
        "split_sentence": _SPLITS[results.parts["strategy"]],
        "notes": results.parts["notes"],
        "augmented": results.augmented,
        "data_table": tabulate_data(results.cleaned, {part: results.parts[part] for part in SPLITS}, results.suspects),
        "suspects": results.suspects,
        "overall_sentence": _sentence(evaluation),
        "rarest": min(evaluation["per_class"], key=lambda name: evaluation["per_class"][name]["support"]),
        "evaluation": evaluation,
        "overall_table": render_table(["measure", "value"], measure_rows(evaluation, OVERALL)),
        "calibration_table": render_table(["measure", "value"], measure_rows(evaluation, CALIBRATION)),
        "class_table": render_table(CLASS_HEADER, class_rows(evaluation["per_class"])),
        "confusions": confusions(results.predictions),
        "review": describe_review(evaluation["review"]) if evaluation.get("review") else None,
        "flagged": _flagged(evaluation),
        "external": list(_external(results.external)),
        "pictures": {
            name: os.path.relpath(figures / f"{name}.png", folder)
            for name in _PICTURES
            if (figures / f"{name}.png").exists() and name.partition("/")[0] not in results.stale
        },
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "digests": results.digests,
    }


def _sentence(evaluation: dict[str, Any]) -> str:
    merits = [describe_measure(evaluation, metric) for metric in ("accuracy", "balanced_accuracy", "macro_f1")]
    return f"On {evaluation['images']} test images it reaches {', '.join(merits[:-1])} and {merits[-1]}."


def _flagged(evaluation: dict[str, Any]) -> list[str]:
    return [
        f"{of['errors']} of {of['images']} {name.replace('_', ' ')}"
        for name, of in evaluation.get("by_flag", {}).items()
        if of["images"]
    ]


def _external(outcomes: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each source that the model was tested on without having learnt from it."""
    for name, outcome in outcomes.items():
        known, unknown = outcome["known"], outcome["unknown"]
        merits = (
            f"{known['images']} images, {describe_measure(known, 'accuracy')}, {describe_measure(known, 'macro_f1')}"
            if known
            else "no image of a class that the model knows"
        )
        strangers = (
            f"{sum(called.values())} images of {label}, which it does not know, it called "
            + ", ".join(f"{other} ({count})" for other, count in called.items())
            for label, called in unknown.items()
        )
        seen = sum((outcome.get("seen") or {}).values())
        copies = [f"{seen} images were left out, for they show what its own photographs do"] if seen else []
        yield "; ".join([f"`{name}`: {merits}", *strangers, *copies])
