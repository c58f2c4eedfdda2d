"""Brings the pretrained weights of the chosen model, hash-checked, as files that DVC keeps."""

from pathlib import Path

from wbc.tools.fallback import warn_if_fallen_back
from wbc.base.params import read_params
from wbc.models.params import read_model
from wbc.weights.pretrained import bring_weights
from wbc.base.stage import run_stage


def main() -> None:
    """The model's name in, its weights and where they come from out."""
    model = read_params()["model"]
    record = bring_weights(Path("models/pretrained"), model=model, weights=read_model(model).weights)
    warn_if_fallen_back(record, model=model)


if __name__ == "__main__":
    run_stage("weights", main)
