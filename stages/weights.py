"""Brings the pretrained weights of the chosen model, hash-checked, as files that DVC keeps."""

from pathlib import Path

from wbc.base.params import read_params
from wbc.base.stage import run_stage
from wbc.tools.fallback import warn_if_fallen_back
from wbc.weights.pretrained import bring_weights


def main() -> None:
    """The model's name in, its weights and where they come from out."""
    params = read_params()
    model = params["model"]
    record = bring_weights(Path("models/pretrained"), model=model, weights=params["models"][model]["weights"])
    warn_if_fallen_back(record, model=model)


if __name__ == "__main__":
    run_stage("weights", main)
