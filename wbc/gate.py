"""Compares the metrics of an evaluation with the least values that `gate` in params.yaml asks for."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wbc.fallback import fell_back
from wbc.params.gate import GateParams


@dataclass(frozen=True)
class Check:
    """One threshold and the value measured on the test part, None when the evaluation lacks it."""

    metric: str
    required: float
    measured: float | None

    @property
    def passed(self) -> bool:
        """Tell whether the metric is there and reaches the threshold."""
        return self.measured is not None and self.measured >= self.required


def read_metrics(path: Path, *, stage: str) -> dict[str, Any]:
    """Return the JSON file of metrics that ``stage`` writes. Raises ValueError when it is absent or no JSON object."""
    try:
        metrics = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ValueError(
            f"{path} does not exist: make it with `dvc repro {stage}`, or bring it back with `git restore {path}`"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}): make it anew with `dvc repro -f {stage}`") from error
    if not isinstance(metrics, dict):
        raise ValueError(f"{path} must hold a JSON object of metrics: make it anew with `dvc repro -f {stage}`")
    return metrics


def check_weights(training: dict[str, Any], *, gate: GateParams) -> str | None:
    """Return why the weights that training started from, as train.json names them, shut the gate; None if not."""
    if gate.allow_random_weights or not fell_back(training):
        return None
    return (
        f"{training['model']} was trained from random weights, for its pretrained ones could not be had: bring them "
        "with `dvc repro --force --single-item weights` and train again, or set gate.allow_random_weights to true"
    )


def check_split(evaluation: dict[str, Any]) -> str | None:
    """Return why the split that evaluation.json names shuts the gate; None if it does not."""
    if evaluation.get("split_strategy") != "leaky":
        return None
    return "the split is leaky: the model was trained on views of test images, take -S split.strategy=grouped"


def check_gate(evaluation: dict[str, Any], *, gate: GateParams) -> list[Check]:
    """Return one check for each threshold of ``gate``, in its order; those of a class are named CLASS.metric.

    ``evaluation`` is flat for the overall metrics and holds ``per_class.<CLASS>.<metric>`` below.
    """
    checks = [
        Check(metric=metric, required=required, measured=_number(evaluation, metric))
        for metric, required in gate.overall.items()
    ]
    for label, thresholds in gate.per_class.items():
        for metric, required in thresholds.items():
            measured = _number(evaluation, "per_class", label, metric)
            checks.append(Check(metric=f"{label}.{metric}", required=required, measured=measured))
    return checks


def _number(content: Any, *keys: str) -> float | None:
    """Return the number that ``keys`` lead to; None when there is none, as for a metric that is undefined."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return float(content) if isinstance(content, int | float) else None
