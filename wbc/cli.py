"""The console program `wbc`. Each command imports what it needs when it runs, so that `wbc --help` is quick."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wbc.commands.failure import failure
from wbc.commands.gate import gate
from wbc.commands.lean import be_lean
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


@app.command()
def publish(
    stage: Annotated[str | None, typer.Argument(help="Only this stage.")] = None,
    when_told: Annotated[
        bool, typer.Option("--when-told", help="Get ready, then wait for a line from the stage that started this.")
    ] = False,
) -> None:
    """Show in MLflow what the stages' files say and is missing there. A running stage never fails by this."""
    be_quiet()
    be_lean()
    from wbc.tracking.publish import UnknownStageError, publish
    from wbc.tracking.runs import read_artifact, read_runs, read_values
    from wbc.tracking.record import list_code, read_locked

    try:
        for name, outcome in publish(stage, wait=sys.stdin.readline if when_told else None):
            Console(soft_wrap=True).print(Text(f"{name}: {outcome}"))
    except UnknownStageError as error:
        raise failure(error) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        warning = f"MLflow unreachable or unwilling ({reason}): the files are complete, run `wbc publish` later"
        Console(stderr=True, soft_wrap=True).print(Text(warning, style="yellow"))
        raise typer.Exit(0 if "DVC_STAGE" in os.environ else 1) from error


@app.command()
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
    from wbc.tracking.publish import UnknownStageError, publish
    from wbc.tracking.runs import read_artifact, read_runs, read_values
    from wbc.tracking.record import list_code, read_locked

    files = ("data/cells.npy", "data/split.csv", "data/train.npy")
    _write_table(output, files=files, tabulate=partial(tabulate_models, read_values=read_values))


@app.command()
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
    from wbc.tracking.publish import UnknownStageError, publish
    from wbc.tracking.runs import read_artifact, read_runs, read_values
    from wbc.tracking.record import list_code, read_locked

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


@app.command()
def recipe(
    name: Annotated[str | None, typer.Argument(help="Of a recipe; none: list them.")] = None,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="A small run without the files that are missing.")
    ] = False,
    setting: Annotated[list[str] | None, typer.Option("--set", "-S", help="Also set parameter=value.")] = None,
    table: Annotated[bool, typer.Option("--table", help="Write the table of what MLflow has recorded.")] = False,
    output: Annotated[Path, typer.Option(help="A Markdown file with the marks of such a table.")] = Path(
        "docs/recipes.md"
    ),
) -> None:
    """Run a published system under its study's protocol and under an honest one, beside the study's figure."""
    from wbc.recipes import recipes

    try:
        known = recipes.read_recipes()
        if table:
            _write_table(output, files=(), tabulate=partial(recipes.tabulate_recipes, recipes=known))
        elif name is None:
            listed = Table("recipe", "study", "claimed", "needs", box=SIMPLE)
            listed.columns[0].no_wrap = True
            for each, content in known.items():
                listed.add_row(each, content.study, recipes.describe_claim(content), content.needs)
            Console().print(listed)
        else:
            chosen = recipes.choose_recipe(name, known, stand_in=stand_in)
            results = Table("claimed", recipes.describe_claim(chosen), box=SIMPLE, title=f"{name}: {chosen.study}")
            for protocol in recipes.PROTOCOLS:
                settings = recipes.settings_of(chosen, protocol, stand_in=stand_in)
                outcome = recipes.run_recipe(name, protocol, settings=settings, extra=setting or [])
                measured = recipes.describe(outcome, recipes.metrics_of(chosen, protocol))
                results.add_row(f"ours, {protocol}", f"{measured}, weights {outcome.weights}")
            if stand_in:
                results.caption = "A stand-in: says nothing about the study."
            Console().print(results)
    except (OSError, ValueError) as error:
        raise failure(error) from error


@app.command()
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


@app.command()
def data_card(
    output: Annotated[
        Path | None,
        typer.Option(help="The Markdown file; docs/data-card.md for bccd, one of its own for another source."),
    ] = None,
) -> None:
    """Write what clean, suspects and split found in the data into the data card of their source."""
    from wbc.base.params import read_params
    from wbc.cards.data_card import tabulate_data, write_data_card
    from wbc.data.tables import SPLITS, SUSPECTS, read_table
    from wbc.gate.gate import read_metrics
    from wbc.tracking.experiment import describe_revision
    from wbc.tracking.lineage import require_current

    try:
        require_current(stages=("split", "suspects"))
        source = read_params()["data"]["source"]
        output = output or Path("docs", "data-card.md" if source == "bccd" else f"data-card-{source}.md")
        cleaned, parts = (read_metrics(Path(f"metrics/{stage}.json"), stage=stage) for stage in ("clean", "split"))
        suspects = read_table(Path("metrics/suspects.csv"), SUSPECTS)
        table = tabulate_data(cleaned, {part: parts[part] for part in SPLITS}, suspects)
        write_data_card(output, source=source, table=table)
    except (OSError, ValueError) as error:
        raise failure(error) from error
    Console(soft_wrap=True).print(f"written to {output}: {source}, {describe_revision()}")


@app.command()
def model_card(
    output: Annotated[Path, typer.Option(help="The Markdown file to write.")] = Path("docs/model-card.md"),
) -> None:
    """Write the card of the trained model, from the files of the last run: intended use, data, protocol, results."""
    from wbc.base.files import require_output
    from wbc.cards.model_card import write_model_card
    from wbc.cards.results import read_results
    from wbc.tracking.experiment import describe_revision
    from wbc.tracking.lineage import name_model

    try:
        require_output(output, suffixes=[".md"])
        write_model_card(output, read_results())
    except (OSError, ValueError) as error:
        raise failure(error) from error
    Console(soft_wrap=True).print(f"written to {output}: {describe_revision()}, model {name_model()}")


@app.command()
def report(
    output: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    experiment: Annotated[
        str | None, typer.Option(help="A DVC experiment or git revision in place of this one.")
    ] = None,
) -> None:
    """Put a run on one HTML page that needs no other file: scores, figures, mistakes, labels in doubt, parameters."""
    from dvc.scm import RevError

    from wbc.base.files import require_output
    from wbc.cards.report import write_report
    from wbc.cards.results import read_results
    from wbc.tracking.experiment import describe_revision, experiment_folder, export_results
    from wbc.tracking.lineage import name_model

    try:
        require_output(output, suffixes=[".html", ".htm"])
        if experiment is None:
            name, home, results = describe_revision(), Path(), read_results()
        else:
            name, home = experiment, experiment_folder(experiment)
            export_results(experiment, destination=home)
            results = read_results(home, home=home)
        write_report(output, results, name=name)
    except (OSError, ValueError, RevError) as error:
        raise failure(error) from error
    Console(soft_wrap=True).print(Text(f"written to {output}: {name}, model {name_model(home)}"))


def _write_table(output: Path, *, files: Sequence[str], tabulate: Callable[["pd.DataFrame"], str]) -> None:
    """Write what ``tabulate`` makes of the recorded runs on ``files`` into the Markdown file ``output``."""
    be_quiet()
    from wbc.tools.markdown import insert_table
    from wbc.tracking.publish import UnknownStageError, publish
    from wbc.tracking.runs import read_artifact, read_runs, read_values
    from wbc.tracking.record import list_code, read_locked

    try:
        runs = read_runs(files)
        if runs.empty:
            raise ValueError("MLflow has no run of a model on these images: `dvc repro`, or `wbc publish`")
        table = tabulate(runs)
        insert_table(output, table)
    except (OSError, ValueError) as error:
        raise failure(error) from error
    Console(soft_wrap=True).print(Text(f"{table}written to {output}"))


@app.command()
def show(experiment: Annotated[str, typer.Argument(help="Name of a DVC experiment, or a git revision.")]) -> None:
    """Print the test metrics of an experiment and copy its metrics and figures to experiments/<name>/."""
    from dvc.scm import RevError

    from wbc.gate.gate import read_metrics
    from wbc.scores.wording import describe, format_measure
    from wbc.tracking.experiment import experiment_folder, export_results
    from wbc.tracking.lineage import name_model

    folder = experiment_folder(experiment)
    try:
        export_results(experiment, destination=folder)
        evaluation = read_metrics(folder / "evaluation.json", stage="evaluate")
    except (OSError, ValueError, RevError) as error:
        raise failure(error) from error
    table = Table("class", "sensitivity", "specificity", "precision", "F1", "images")
    for name, scores in evaluation["per_class"].items():
        values = [
            format_measure(scores, metric, digits=2) for metric in ("sensitivity", "specificity", "precision", "f1")
        ]
        table.add_row(name, *values, str(scores["support"]))
    overall = ", ".join(describe(evaluation, metric) for metric in ("accuracy", "balanced_accuracy", "macro_f1"))
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{experiment}: {evaluation['images']} test images, {overall}", table, sep="\n")
    console.print(f"model {name_model(folder)}")
    if (page := folder / "evaluation.md").exists():
        console.print(f"in brackets 95 % intervals; more in {page}")
    console.print(f"confusion matrix and other figures: {folder / 'figures' / 'evaluate'}")
    console.print(Text(f"as one page: wbc report --experiment {experiment}        plots: dvc plots diff {experiment}"))
    console.print("compare experiments: dvc exp show        compare runs in MLflow: make ui")


@app.command()
def audit(
    folder: Annotated[Path, typer.Argument(help="Images, flat or in class folders, as for the source `folders`.")],
    output: Annotated[Path, typer.Option(help="Where the tables and figures go.")] = Path("audit"),
) -> None:
    """Find images of the same cell, cells with two labels and images of poor quality in any FOLDER.

    Writes to the output folder: twins.csv (pairs with their evidence: inliers, correlation, rotation, scale, shift),
    images.csv (label, group, flags and contradicting image of each), dropped.csv (files that cannot be decoded),
    audit.json, twins.jpg and flags.png. Nothing in FOLDER is changed.
    """
    from wbc.audit.audit import audit as audit_folder
    from wbc.photographs.quality import FLAGS

    try:
        counts = audit_folder(folder, output=output)
    except (OSError, ValueError) as error:
        raise failure(error) from error
    twins = counts["twins"]
    table = Table("what", "count", "meaning")
    table.add_row("images", str(counts["images"]), f"{counts['unreadable']} of them cannot be decoded: dropped.csv")
    table.add_row("pairs", str(twins["pairs"]), "two images that show the same field, in part or whole")
    for kind, meaning in {"copy": "unmoved", "same_cell": "the same cell", "overlap": "the cells are others"}.items():
        table.add_row(f"  {kind}", str(twins[kind]), meaning)
    table.add_row("groups", str(twins["groups"]), f"of two or more images, {twins['grouped_images']} in all")
    table.add_row("contradictions", str(twins["contradictory_images"]), "images whose cell has another label as well")
    for name, meaning in FLAGS.items():
        table.add_row(name, str(counts["flags"][name]), meaning)
    Console(soft_wrap=True).print(table, f"tables and figures: {output}", sep="\n")
