"""Says, where nobody can miss it, that a model that was to start from pretrained weights started from random ones."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.panel import Panel


def fell_back(record: Mapping[str, Any]) -> bool:
    """Tell whether weights.json or train.json names random weights that were not asked for."""
    return record["weights_used"] == "random" != record["weights_requested"]


def warn_if_fallen_back(record: Mapping[str, Any], *, model: str) -> None:
    """Print a box on stderr where ``record``, the content of weights.json, names random weights not asked for."""
    if fell_back(record):
        text = (
            f"{model} starts from RANDOM weights: its pretrained ones could not be had. What it scores says nothing "
            "of the pretrained network, and `wbc gate` refuses it.\n"
            "To try again: `dvc repro --force --single-item weights`, then `dvc repro`."
        )
        Console(stderr=True).print(Panel(text, title="random weights", style="bold red"))
