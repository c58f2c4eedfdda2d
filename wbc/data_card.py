"""The table of docs/data-card.md: what the stages counted, reported and doubted in the data."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from wbc.cleaning import REASONS
from wbc.markdown import render_table


def tabulate_data(cleaned: Mapping[str, Any], parts: Mapping[str, Any], suspects: pd.DataFrame) -> str:
    """Return a Markdown table of the counts in metrics/clean.json, metrics/split.json and metrics/suspects.csv."""
    twins, flags = cleaned["twins"], cleaned["flags"]
    kinds = f"{twins['same_cell']} of one cell, {twins['overlap']} of overlapping fields, {twins['copy']} plain copies"
    rows = [
        ["rows of labels and photographs", str(cleaned["records"])],
        ["photographs of one labelled cell", _classes(cleaned["labelled"])],
        ["kept", f"{cleaned['kept']}: {_classes(cleaned['classes'])}"],
        *([f"dropped: {REASONS[reason]}", str(count)] for reason, count in cleaned["reasons"].items() if count),
        ["kept without a box of a white cell", str(cleaned["fewer_boxes_than_labels"])],
        ["nucleus found inside the box", f"{cleaned['located']['inside']} of {cleaned['located']['boxed']}"],
        ["pairs of photographs of one field", f"{twins['pairs']}: {kinds}"],
        ["groups that they form", f"{twins['groups']} of {twins['grouped_images']} photographs"],
        *([f"flagged {flag.replace('_', ' ')}", str(count)] for flag, count in flags.items() if count),
        ["labels in doubt", f"{len(suspects)}: {_confusions(suspects)}"],
        *([f"{part} part", f"{content['images']}: {_classes(content['classes'])}"] for part, content in parts.items()),
    ]
    return render_table(["what", "how many"], rows)


def _classes(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _confusions(suspects: pd.DataFrame) -> str:
    pairs = suspects["label"] + " like " + suspects["looks_like"]
    counts = pairs.groupby(pairs).size().sort_values(ascending=False, kind="stable")
    return ", ".join(f"{count} {pair}" for pair, count in counts.items()) or "none"
