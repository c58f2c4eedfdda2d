"""`wbc model-card`: writes the card of the trained model."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from wbc.commands.failure import failure


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
