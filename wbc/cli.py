"""The console program `wbc`. Each command imports what it needs when it runs, so that `wbc --help` is quick."""

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="White blood cells classified from blood-smear photographs. Not for diagnosis.",
)


@app.command()
def gate(
    evaluation: Annotated[Path, typer.Option(help="The metrics to judge.")] = Path("metrics/evaluation.json"),
    training: Annotated[Path, typer.Option(help="What is known of the training.")] = Path("metrics/train.json"),
    params: Annotated[Path, typer.Option(help="The file whose section `gate` holds the thresholds.")] = Path(
        "params.yaml"
    ),
) -> None:
    """Compare the test metrics with the thresholds of `gate` in params.yaml; exit 1 when one is missed or absent.

    A model that fell back to random weights is refused as well, and one from a leaky split.
    """
    from wbc.gate import check_gate, check_split, check_weights, read_metrics
    from wbc.params.base import read_section
    from wbc.params.gate import GateParams

    try:
        thresholds = read_section(GateParams, "gate", path=params)
        measured = read_metrics(evaluation, stage="evaluate")
        checks = check_gate(measured, gate=thresholds)
        weights = check_weights(read_metrics(training, stage="train"), gate=thresholds)
        refusals = [reason for reason in (weights, check_split(measured)) if reason]
    except (OSError, ValueError) as error:
        raise _failure(error) from error
    table = Table("metric", "measured", "required", "")
    for check in checks:
        value = "absent" if check.measured is None else f"{check.measured:.4f}"
        verdict = Text("passed", style="green") if check.passed else Text("missed", style="bold red")
        table.add_row(check.metric, value, f"{check.required:.4f}", verdict)
    Console().print(table)
    missed = sum(not check.passed for check in checks)
    Console().print(f"{missed} of {len(checks)} thresholds missed" if missed else f"all {len(checks)} thresholds met")
    for refusal in refusals:
        Console(soft_wrap=True).print(Text(refusal, style="bold red"))
    raise typer.Exit(1 if missed or refusals else 0)


@app.command()
def publish(stage: Annotated[str | None, typer.Argument(help="Only this stage.")] = None) -> None:
    """Show in MLflow what the stages' files say and is missing there. A running stage never fails by this."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from wbc import tracking

    logging.getLogger("alembic").setLevel(logging.WARNING)  # else a fresh database reports its 60 migrations
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    try:
        for name, outcome in tracking.publish(stage):
            Console(soft_wrap=True).print(Text(f"{name}: {outcome}"))
    except tracking.UnknownStageError as error:
        raise _failure(error) from error
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
    from wbc.model_table import tabulate_models

    _write_table(output, files=("data/cells.npy", "data/split.csv", "data/train.npy"), tabulate=tabulate_models)


@app.command()
def leakage(
    model: Annotated[str, typer.Option(help="The model of the runs.")] = "compact_cnn",
    output: Annotated[Path, typer.Option(help="A Markdown file with the marks of such a table.")] = Path(
        "docs/leakage.md"
    ),
) -> None:
    """Write a table of what each split strategy reports, over the seeds that MLflow has recorded.

    `make leakage` runs them all first.
    """
    from wbc.leakage import tabulate_leakage

    _write_table(output, files=("data/cells.npy",), tabulate=partial(tabulate_leakage, model=model))


@app.command()
def data_card(
    output: Annotated[Path, typer.Option(help="A Markdown file with the marks of such a table.")] = Path(
        "docs/data-card.md"
    ),
) -> None:
    """Write what clean, suspects and split found in the data into the data card."""
    import pandas as pd

    from wbc.data_card import tabulate_data
    from wbc.gate import read_metrics
    from wbc.manifest import SPLITS
    from wbc.markdown import insert_table

    try:
        cleaned, parts = (read_metrics(Path(f"metrics/{stage}.json"), stage=stage) for stage in ("clean", "split"))
        suspects = pd.read_csv("metrics/suspects.csv")
        insert_table(output, tabulate_data(cleaned, {part: parts[part] for part in SPLITS}, suspects))
    except (OSError, ValueError) as error:
        raise _failure(error) from error
    Console(soft_wrap=True).print(f"written to {output}")


@app.command()
def model_card(
    output: Annotated[Path, typer.Option(help="The Markdown file to write.")] = Path("docs/model-card.md"),
) -> None:
    """Write the card of the trained model, from the files of the last run: intended use, data, protocol, results."""
    from wbc.model_card import write_model_card
    from wbc.results import read_results

    try:
        write_model_card(output, read_results())
    except (OSError, ValueError) as error:
        raise _failure(error) from error
    Console(soft_wrap=True).print(f"written to {output}")


@app.command()
def report(
    output: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    experiment: Annotated[
        str | None, typer.Option(help="A DVC experiment or git revision in place of this one.")
    ] = None,
) -> None:
    """Put a run on one HTML page that needs no other file: scores, figures, mistakes, labels in doubt, parameters."""
    from dvc.scm import RevError

    from wbc.experiment import describe_revision, export_results
    from wbc.report import write_report
    from wbc.results import read_results

    try:
        if experiment is None:
            write_report(output, read_results(), name=describe_revision())
        else:
            folder = Path("experiments") / experiment
            export_results(experiment, destination=folder)
            results = read_results(folder, params=folder / "params.yaml", lock=folder / "dvc.lock")
            write_report(output, results, name=experiment)
    except (OSError, ValueError, RevError) as error:
        raise _failure(error) from error
    Console(soft_wrap=True).print(f"written to {output}")


def _write_table(output: Path, *, files: Sequence[str], tabulate: Callable[["pd.DataFrame"], str]) -> None:
    """Write what ``tabulate`` makes of the recorded runs on ``files`` into the Markdown file ``output``."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from wbc import tracking
    from wbc.markdown import insert_table

    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        runs = tracking.read_runs(files)
        if runs.empty:
            raise ValueError("MLflow has no run of a model on these images: `dvc repro`, or `wbc publish`")
        table = tabulate(runs)
        insert_table(output, table)
    except (OSError, ValueError) as error:
        raise _failure(error) from error
    Console(soft_wrap=True).print(Text(f"{table}written to {output}"))


@app.command()
def show(experiment: Annotated[str, typer.Argument(help="Name of a DVC experiment, or a git revision.")]) -> None:
    """Print the test metrics of an experiment and copy its metrics and figures to experiments/<name>/."""
    from dvc.scm import RevError

    from wbc.experiment import export_results
    from wbc.gate import read_metrics
    from wbc.scores import describe, format_measure

    folder = Path("experiments") / experiment
    try:
        export_results(experiment, destination=folder)
        evaluation = read_metrics(folder / "evaluation.json", stage="evaluate")
    except (OSError, ValueError, RevError) as error:
        raise _failure(error) from error
    table = Table("class", "sensitivity", "specificity", "precision", "F1", "images")
    for name, scores in evaluation["per_class"].items():
        values = [
            format_measure(scores, metric, digits=2) for metric in ("sensitivity", "specificity", "precision", "f1")
        ]
        table.add_row(name, *values, str(scores["support"]))
    overall = ", ".join(describe(evaluation, metric) for metric in ("accuracy", "balanced_accuracy", "macro_f1"))
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{experiment}: {evaluation['images']} test images, {overall}", table, sep="\n")
    if (page := folder / "evaluation.md").exists():
        console.print(f"in brackets 95 % intervals; more in {page}")
    console.print(f"confusion matrix and other figures: {folder / 'figures' / 'evaluate'}")
    console.print("compare experiments: .venv/bin/dvc exp show        compare runs in MLflow: make ui")


@app.command()
def audit(
    folder: Annotated[Path, typer.Argument(help="Images, flat or in class folders; sub-folder names are the labels.")],
    output: Annotated[Path, typer.Option(help="Where the tables and figures go.")] = Path("audit"),
) -> None:
    """Find images of the same cell, cells with two labels and images of poor quality in any FOLDER.

    Writes to the output folder: twins.csv (pairs with their evidence: inliers, correlation, rotation, scale, shift),
    images.csv (label, group, flags and contradicting image of each), audit.json, twins.png and flags.png.
    Nothing in FOLDER is changed.
    """
    from wbc.audit import audit as audit_folder
    from wbc.quality import FLAGS

    try:
        counts = audit_folder(folder, output=output)
    except (OSError, ValueError) as error:
        raise _failure(error) from error
    twins = counts["twins"]
    table = Table("what", "count", "meaning")
    table.add_row("images", str(counts["images"]), f"{counts['unreadable']} of them cannot be decoded")
    table.add_row("pairs", str(twins["pairs"]), "two images that show the same field, in part or whole")
    for kind, meaning in {"copy": "unmoved", "same_cell": "the same cell", "overlap": "the cells are others"}.items():
        table.add_row(f"  {kind}", str(twins[kind]), meaning)
    table.add_row("groups", str(twins["groups"]), f"of two or more images, {twins['grouped_images']} in all")
    table.add_row("contradictions", str(twins["contradictory_images"]), "images whose cell has another label as well")
    for name, meaning in FLAGS.items():
        table.add_row(name, str(counts["flags"][name]), meaning)
    Console(soft_wrap=True).print(table, f"tables and figures: {output}", sep="\n")


def _failure(error: Exception) -> typer.Exit:
    """Print an error of the user's files or arguments as a red line on stderr; return the exit that goes with it."""
    Console(stderr=True, soft_wrap=True).print(Text(str(error), style="red"))
    return typer.Exit(2)
