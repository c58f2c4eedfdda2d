"""What the stages left of one run, read together for the model card and the report."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from dvc.utils.flatten import flatten

from wbc.base.params import PARAMS_FILE, read_params
from wbc.data.tables import PREDICTIONS, SUSPECTS, read_table
from wbc.evaluate.page import PER_CLASS
from wbc.gate.gate import read_metrics
from wbc.scores.wording import format_measure
from wbc.tracking.lineage import LOCK, METRICS, list_stale, read_stages, require_current

OVERALL = {
    "accuracy": "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "macro F1": "macro_f1",
    "Matthews' coefficient": "mcc",
    "Cohen's kappa": "kappa",
    "AUROC": "auroc",
    "average precision": "average_precision",
}
CALIBRATION = {
    "expected calibration error": "expected_calibration_error",
    "Brier score, 0 to 2": "brier_score",
    "log loss": "log_loss",
}
CLASS_HEADER = ["class", "test images", *PER_CLASS]


@dataclass(frozen=True)
class Results:
    """The files of one run: ``folder`` is metrics/ or a copy of it, ``digests`` are MD5s by path from dvc.lock.

    ``stale`` are the stages, of those that another run may have left out, whose results in ``folder`` are not of this
    run. ``external`` is then empty, ``suspects`` None.
    """

    folder: Path
    params: dict[str, Any]
    digests: dict[str, str]
    evaluation: dict[str, Any]
    training: dict[str, Any]
    cleaned: dict[str, Any]
    parts: dict[str, Any]
    augmented: dict[str, Any]
    external: dict[str, Any]
    predictions: pd.DataFrame
    suspects: pd.DataFrame | None
    stale: frozenset[str]

    @property
    def source(self) -> str:
        """The name of the data source."""
        return str(self.params["data"]["source"])

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters that the run depends on, by their dotted names: of all models and sources the chosen ones."""
        model, source = self.params["model"], self.source
        return flatten(
            {
                **{key: value for key, value in self.params.items() if key not in ("models", "sources", "gate")},
                "models": {model: self.params["models"][model]},
                "sources": {source: self.params["sources"][source]},
            }
        )


def read_results(folder: Path = METRICS, *, home: Path = Path()) -> Results:
    """Return the results in ``folder``; ``home`` is where the params.yaml and dvc.lock of that run lie.

    Raises StaleResultsError (wbc.tracking.lineage) for results of other parameters, and ValueError or OSError naming
    the stage that makes what is missing.
    """
    require_current(folder, home=home)
    stages = read_stages(home / LOCK)
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    stale = list_stale(folder, home=home)

    def read(name: str, *, stage: str) -> dict[str, Any]:
        return read_metrics(folder / f"{name}.json", stage=stage)

    external = folder / "external.json"
    return Results(
        folder=folder,
        params=read_params(home / PARAMS_FILE),
        digests={out["path"]: out["md5"] for out in outs},
        evaluation=read("evaluation", stage="evaluate"),
        training=read("train", stage="train"),
        cleaned=read("clean", stage="clean"),
        parts=read("split", stage="split"),
        augmented=read("augment", stage="augment"),
        external=json.loads(external.read_text()) if external.exists() and "external" not in stale else {},
        predictions=read_table(folder / "predictions.csv", PREDICTIONS),
        suspects=None if "suspects" in stale else read_table(folder / "suspects.csv", SUSPECTS),
        stale=stale,
    )


def measure_rows(scores: Mapping[str, Any], measures: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield the title and the value with its interval of each of ``measures`` {title: metric} that was measured."""
    yield from ([title, format_measure(scores, metric)] for title, metric in measures.items() if metric in scores)


def confusions(predictions: pd.DataFrame) -> list[tuple[str, str, int, int]]:
    """Return truth, prediction, how often, and all images of that truth for each confusion, the most frequent first."""
    wrong = predictions[predictions["truth"] != predictions["prediction"]]
    counts, support = Counter(zip(wrong["truth"], wrong["prediction"], strict=True)), Counter(predictions["truth"])
    return [(truth, called, count, support[truth]) for (truth, called), count in counts.most_common()]


def describe_averaging(results: Results) -> str:
    """Return what the model takes the mean of ("8 orientations of each image"); "" for one look of one network."""
    views, networks = results.params["train"]["views"], results.training["networks"]
    counts = {"networks": networks, "orientations of each image": views}
    return " and ".join(f"{count} {name}" for name, count in counts.items() if count > 1)
