"""The console program `wbc`: one module of wbc/commands/ for each command.

Each imports what it needs when it runs, so that `wbc --help` is quick.
"""

from importlib.metadata import version
from typing import Annotated

import typer

from wbc.commands.audit import audit
from wbc.commands.compare import compare
from wbc.commands.data_card import data_card
from wbc.commands.gate import gate
from wbc.commands.model_card import model_card
from wbc.commands.promote import promote
from wbc.commands.publish import publish
from wbc.commands.recipe import recipe
from wbc.commands.report import report
from wbc.commands.show import show

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wbc {version('wbc-pipeline')}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """White blood cells classified from blood-smear photographs. Not for diagnosis."""


for command in (gate, promote, publish, compare, recipe, data_card, model_card, report, show, audit):
    app.command()(command)
