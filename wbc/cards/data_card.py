"""The data card: what the stages counted, reported and doubted in the data, on a page of that source alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from wbc.base.files import written_aside
from wbc.clean.rejects import REASONS
from wbc.tools.markdown import MARKS, insert_table, render_table

_UNKNOWN = """\
Made by `wbc data-card`. Origin, licence, patients and known errors are for whoever chose these data to write here: what
stands outside of the table stays."""


def write_data_card(path: Path, *, source: str, table: str) -> None:
    """Put ``table`` into the data card of ``source`` at ``path``. A card that is not there is made.

    Raises ValueError for a page that is another one's by its first line: its origin and known errors are not those of
    ``source``.
    """
    heading = f"# Data card: {source}"
    if not path.exists():
        with written_aside(path) as aside:
            aside.write_text(f"{heading}\n\n{_UNKNOWN}\n\n" + "\n\n".join(MARKS) + "\n")
    if path.read_text().partition("\n")[0].casefold() != heading.casefold():
        raise ValueError(f"{path} is no data card of {source}: name another file with --output")
    insert_table(path, table)


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
