"""Outputs are written to a temporary name and renamed, so that a killed run never leaves half a file."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # workers that read arrays start sooner without pandas
    import pandas as pd


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path with the suffix of ``path``; rename it to ``path`` when the block ends well.

    The temporary name is always the same: what a killed run left behind, the next one overwrites.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write ``table`` without its index; floats to eight significant digits, missing values as empty cells."""
    with written_aside(path) as aside:
        table.to_csv(aside, index=False, float_format="%.8g", lineterminator="\n")


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON in its own key order, with a final newline. NaN raises ValueError."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
