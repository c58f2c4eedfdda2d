"""`wbc report`: puts a run on one page."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from wbc.commands.failure import failure


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
