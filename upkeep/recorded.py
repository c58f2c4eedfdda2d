"""Writes a table of what MLflow has recorded into a page."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.text import Text

from wbc.commands.failure import failure
from wbc.commands.quiet import be_quiet
from wbc.tools.markdown import insert_table


def write_table(page: Path, *, files: Sequence[str], tabulate: Callable[[pd.DataFrame], str]) -> None:
    """Put what ``tabulate`` makes of the runs that were trained on these ``files`` of dvc.lock into a Markdown page.

    Without such runs, or where they are not enough, the program ends with a message.
    """
    be_quiet()
    from wbc.tracking.runs import read_runs  # here, because mlflow must be quiet first

    try:
        runs = read_runs(files)
        if runs.empty:
            raise ValueError("MLflow has no run of a model on these images: `dvc repro`, or `wbc publish`")
        table = tabulate(runs)
        insert_table(page, table)
    except (OSError, ValueError) as error:
        raise failure(error) from error
    Console(soft_wrap=True).print(Text(f"{table}written to {page}"))
