"""`wbc data-card`: writes what was found in the data."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from wbc.commands.failure import failure


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
