"""Tests the model on the sources that `external` names, less what it has seen of them; without any there is no row."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from wbc.base.files import write_csv, write_json
from wbc.base.params import read_number, read_section
from wbc.base.stage import run_stage
from wbc.clean.params import CleanParams
from wbc.data.tables import MANIFEST, SPLIT, read_table
from wbc.external.params import ExternalParams, read_externals

if TYPE_CHECKING:
    from wbc.external.external import Outcome

RAW = Path("data/raw")


def main() -> None:
    """Model and other sources in, scores and predictions out."""
    externals = read_externals()
    outcomes = evaluate_sources(externals) if externals else {}
    tables = [outcome.images.assign(source=name) for name, outcome in outcomes.items()]
    write_json(Path("metrics/external.json"), {name: outcome.scores for name, outcome in outcomes.items()})
    write_csv(Path("metrics/external.csv"), pd.concat([pd.DataFrame(columns=["source", "id"]), *tables]))


def evaluate_sources(externals: tuple[ExternalParams, ...]) -> "dict[str, Outcome]":
    """Return what the model makes of each of the sources ``externals``."""
    from wbc.external.external import evaluate_source
    from wbc.inference.determinism import make_deterministic  # here, because TensorFlow takes seconds to start
    from wbc.inference.inference import load_model
    from wbc.sources.registry import SOURCES

    make_deterministic(seed=read_number("seed"), threads=read_number("threads"))
    model = load_model(Path("models/model.keras"))
    classes: list[str] = json.loads(Path("metrics/train.json").read_text())["classes"]
    own = read_own()
    outcomes: dict[str, Outcome] = {}
    for external in externals:
        source = SOURCES[external.source]
        outcomes[external.called] = evaluate_source(
            source,
            source_params=read_section(source.schema, "sources", external.source),
            external=external,
            clean_params=read_section(CleanParams, "clean"),
            model=model,
            classes=classes,
            own=own,
        )
        print(f"{external.called}: {outcomes[external.called]}")
    return outcomes


def read_own() -> pd.DataFrame:
    """Return the model's own photographs: id, group and split of each, and where it is."""
    files = read_table(Path("data/manifest.csv"), MANIFEST).set_index("id")["file"]
    split = read_table(Path("data/split.csv"), SPLIT)
    return split.assign(path=[RAW / file for file in files[split["id"]]])


if __name__ == "__main__":
    run_stage("external", main)
