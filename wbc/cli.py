"""The console program `wbc`. Each command imports what it needs when it runs, so that `wbc --help` is quick."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from wbc.commands.failure import failure
from wbc.commands.gate import gate
from wbc.commands.promote import promote
from wbc.commands.quiet import be_quiet

if TYPE_CHECKING:
    import pandas as pd

    from wbc.compare.comparison import Predictions

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="White blood cells classified from blood-smear photographs. Not for diagnosis.",
)


app.command()(gate)
app.command()(promote)


def models(
    output: Annotated[Path, typer.Option(help="A Markdown file with the marks of such a table.")] = Path(
        "docs/models.md"
    ),
) -> None:
    """Write a table of the models that MLflow has recorded on the present split, the latest run of each.

    A run counts when it was trained and tested on the images that dvc.lock names.
    """
    be_quiet()
    from upkeep.models import tabulate_models
    from wbc.tracking.runs import read_values

    files = ("data/cells.npy", "data/split.csv", "data/train.npy")
    _write_table(output, files=files, tabulate=partial(tabulate_models, read_values=read_values))


def leakage(
    model: Annotated[str, typer.Option(help="The model of the runs.")] = "efficientnet_lite0",
    output: Annotated[Path, typer.Option(help="A Markdown file with the marks of such a table.")] = Path(
        "docs/leakage.md"
    ),
) -> None:
    """Write a table of what each split strategy reports, over the seeds that MLflow has recorded.

    `make leakage` runs them all first.
    """
    be_quiet()
    from upkeep.leakage import tabulate_leakage
    from wbc.compare.comparison import read_predictions
    from wbc.tracking.runs import read_artifact

    def read(run_id: str) -> "Predictions":
        return read_predictions(read_artifact(run_id, "metrics/predictions.csv"))

    _write_table(output, files=("data/cells.npy",), tabulate=partial(tabulate_leakage, model=model, read=read))


def _write_table(output: Path, *, files: Sequence[str], tabulate: Callable[["pd.DataFrame"], str]) -> None:
    """Write what ``tabulate`` makes of the recorded runs on ``files`` into the Markdown file ``output``."""
    be_quiet()
    from wbc.tools.markdown import insert_table
    from wbc.tracking.runs import read_runs

    try:
        runs = read_runs(files)
        if runs.empty:
            raise ValueError("MLflow has no run of a model on these images: `dvc repro`, or `wbc publish`")
        table = tabulate(runs)
        insert_table(output, table)
    except (OSError, ValueError) as error:
        raise failure(error) from error
    Console(soft_wrap=True).print(Text(f"{table}written to {output}"))
