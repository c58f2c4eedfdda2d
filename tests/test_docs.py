"""What README and docs/ say in numbers of the default run is what metrics/ holds."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from wbc.scores.wording import format_measure

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    """The numbers of the default run, by the names that the sentences below give them."""
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "params.yaml"], cwd=ROOT, capture_output=True)
    if changed.returncode == 1:
        pytest.skip("params.yaml is not the committed one: metrics/ may be of another run")
    cleaned, parts, evaluation = (
        json.loads((ROOT / "metrics" / f"{name}.json").read_text()) for name in ("clean", "split", "evaluation")
    )
    measured = {name: format_measure(evaluation, name) for name in ("accuracy", "balanced_accuracy", "macro_f1")}
    counts = {
        "kept": cleaned["kept"],
        "missing": cleaned["reasons"]["missing_file"],
        "doubted": len(pd.read_csv(ROOT / "metrics" / "suspects.csv")),
        "test": parts["test"]["images"],
        "plain_accuracy": f"{evaluation['accuracy']:.3f}",
    }
    return cleaned["twins"] | counts | measured


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (
            "README.md",
            "it finds {pairs} pairs, each judged by eye: {same_cell} of one cell, {overlap} of overlapping fields, "
            "{copy} plain copy",
        ),
        ("README.md", "{grouped_images} of the {kept} photographs that are kept show {groups} fields."),
        ("README.md", "Measured on BCCD, {test} test photographs,"),
        ("README.md", "| default: `efficientnet_lite0` on cells | {accuracy} | {balanced_accuracy} | {macro_f1} |"),
        ("README.md", "With {test} test images an accuracy of {plain_accuracy} is uncertain"),
        ("docs/leakage.md", "{doubted} of the {kept} labels are in doubt by our own count"),
        ("docs/leakage.md", "BCCD has {pairs} pairs of twins among {kept} photographs"),
        ("docs/data-card.md", "- {missing} rows of labels.csv name photographs that BCCD does not hold"),
    ],
)
def test_a_sentence_has_the_numbers_of_the_run(numbers: dict[str, Any], file: str, sentence: str) -> None:
    text = " ".join((ROOT / file).read_text().split())

    assert sentence.format_map(numbers) in text
