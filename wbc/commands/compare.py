"""`wbc compare`: ranks the recorded models."""

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from wbc.commands.failure import failure
from wbc.commands.quiet import be_quiet


def compare(
    metric: Annotated[str, typer.Option(help="A measure of metrics/evaluation.json.")] = "balanced_accuracy",
    model: Annotated[list[str] | None, typer.Option(help="Only this model; may be repeated.")] = None,
    run: Annotated[list[str] | None, typer.Option(help="Only this run or experiment; may be repeated.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Only runs with this parameter=value; may be repeated.")
    ] = None,
    experiments: Annotated[bool, typer.Option(help="Read DVC's experiments in place of MLflow's runs.")] = False,
    output: Annotated[Path, typer.Option(help="The Markdown file that the table goes into.")] = Path("comparison.md"),
    figure: Annotated[Path, typer.Option(help="The PNG file with the intervals.")] = Path("comparison.png"),
) -> None:
    """Rank the recorded models that were tested on the same images, with intervals and paired tests.

    Runs of other test parts or of leaky splits are not ranked but listed; exit 2 where such are asked for by name.
    """
    be_quiet()
    from wbc.base.files import require_output
    from wbc.compare import comparable, ranking, ranking_report
    from wbc.compare.comparison import read_predictions
    from wbc.tracking import experiment
    from wbc.tracking.record import list_code, read_locked
    from wbc.tracking.runs import read_artifact, read_runs

    read_file = experiment.read_file if experiments else read_artifact
    try:
        require_output(output, suffixes=[".md"])
        require_output(figure, suffixes=[".png"])
        runs = experiment.read_experiments() if experiments else read_runs()
        if runs.empty:
            raise ValueError("no run of a model is recorded: `dvc repro`, or `wbc publish`")
        choice = comparable.choose_runs(
            comparable.restrict(runs, where or []),
            locked=read_locked([comparable.CELLS, comparable.SPLIT]),
            models=model or [],
            names=run or [],
        )
        ranked = ranking.rank(
            choice.runs,
            metric=metric,
            read=lambda run_id: read_predictions(read_file(run_id, "metrics/predictions.csv")),
            code=list_code(),
        )
        ranking_report.write_report(ranked, choice.left_out, output=output, figure=figure)
    except (OSError, ValueError) as error:
        raise failure(error) from error
    header, rows = ranking_report.table_of(ranked)
    table = Table(*header, box=SIMPLE)
    for column in table.columns[:2]:
        column.no_wrap = True
    for row in rows:
        plain = (cell.replace("`", "").replace("**", "").replace("<br>", "\n").replace(" (", "\n(") for cell in row)
        table.add_row(*plain)
    console = Console(highlight=False, width=max(Console().width, 140))
    console.print(table, *ranking_report.notes_of(ranked, choice.left_out), sep="\n")
    console.print(f"written to {output} and {figure}", soft_wrap=True)
