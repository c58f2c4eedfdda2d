"""Tests the model on the sources of evaluate.external, of which it has seen nothing; without any there is no row."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from wbc.files import write_csv, write_json
from wbc.params.base import read_number, read_section
from wbc.params.clean import CleanParams
from wbc.params.evaluate import EvaluateParams
from wbc.stage import run_stage

if TYPE_CHECKING:
    from wbc.external import Outcome


def main() -> None:
    """Model and other sources in, scores and predictions out."""
    params = read_section(EvaluateParams, "evaluate")
    outcomes = evaluate_sources(params) if params.external else {}
    tables = [outcome.predictions.assign(source=name) for name, outcome in outcomes.items()]
    write_json(Path("metrics/external.json"), {name: outcome.scores for name, outcome in outcomes.items()})
    write_csv(Path("metrics/external.csv"), pd.concat([pd.DataFrame(columns=["source", "id"]), *tables]))


def evaluate_sources(params: EvaluateParams) -> "dict[str, Outcome]":
    """Return what the model makes of each source of ``params.external``."""
    from wbc.determinism import make_deterministic  # here, because TensorFlow takes seconds to start
    from wbc.external import evaluate_source
    from wbc.inference import load_model
    from wbc.sources.registry import SOURCES

    make_deterministic(seed=read_number("seed"), threads=read_number("threads"))
    model = load_model(Path("models/model.keras"))
    classes: list[str] = json.loads(Path("metrics/train.json").read_text())["classes"]
    outcomes: dict[str, Outcome] = {}
    for external in params.external:
        source = SOURCES[external.source]
        outcomes[external.source] = evaluate_source(
            source,
            source_params=read_section(source.schema, "sources", external.source),
            external=external,
            clean_params=read_section(CleanParams, "clean"),
            model=model,
            classes=classes,
        )
        print(f"{external.source}: {outcomes[external.source]}")
    return outcomes


if __name__ == "__main__":
    run_stage("external", main)
