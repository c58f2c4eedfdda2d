"""`wbc show`: the results of an experiment."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wbc.commands.failure import failure


def show(experiment: Annotated[str, typer.Argument(help="Name of a DVC experiment, or a git revision.")]) -> None:
    """Print the test metrics of an experiment and copy its metrics and figures to experiments/<name>/."""
    from dvc.scm import RevError

    from wbc.gate.gate import read_metrics
    from wbc.scores.wording import describe_measure, format_measure
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
    overall = ", ".join(
        describe_measure(evaluation, metric) for metric in ("accuracy", "balanced_accuracy", "macro_f1")
    )
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{experiment}: {evaluation['images']} test images, {overall}", table, sep="\n")
    console.print(f"model {name_model(folder)}")
    if (page := folder / "evaluation.md").exists():
        console.print(f"in brackets 95 % intervals; more in {page}")
    console.print(f"confusion matrix and other figures: {folder / 'figures' / 'evaluate'}")
    console.print(Text(f"as one page: wbc report --experiment {experiment}        plots: dvc plots diff {experiment}"))
    console.print("compare experiments: dvc exp show        compare runs in MLflow: make ui")
