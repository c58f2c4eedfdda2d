"""Brings the pretrained weights of the chosen model, hash-checked, as files that DVC keeps."""

from pathlib import Path

from wbc.params.base import read_params, read_section
from wbc.params.models import ModelParams
from wbc.pretrained import bring_weights
from wbc.stage import run_stage


def main() -> None:
    """The model's name in, its weights and where they come from out."""
    model = read_params()["model"]
    weights = read_section(ModelParams, "models", model).weights
    bring_weights(Path("models/pretrained"), model=model, weights=weights)


if __name__ == "__main__":
    run_stage("weights", main)
