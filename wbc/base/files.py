"""Outputs are written to a temporary name and renamed, so that a killed run never leaves half a file."""

import json
from collections.abc import Collection, Iterator
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


def require_made(folder: Path, *, sign: str) -> None:
    """Raise ValueError where ``folder`` holds anything but not the file ``sign``, which whoever makes it leaves there.

    To be called before it is removed.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / sign).is_file():
        raise ValueError(f"{folder} holds files but no {sign}, so it is not what was made here before: move it away")


def require_output(path: Path, *, suffixes: Collection[str]) -> None:
    """Raise ValueError unless a file of this kind may be written to ``path``, in place of one that is there.

    Who names a page as output expects it to be replaced, but neither a folder nor params.yaml or a photograph.
    """
    if path.is_dir() or path.suffix.lower() not in suffixes:
        raise ValueError(f"the output {path} must be a file that ends in {' or '.join(suffixes)}")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write ``table`` without its index; floats to eight significant digits, missing values as empty cells."""
    with written_aside(path) as aside:
        table.to_csv(aside, index=False, float_format="%.8g", lineterminator="\n")


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON in its own key order, with a final newline. NaN raises ValueError."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
