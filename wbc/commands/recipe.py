"""`wbc recipe`: runs published systems."""

from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from wbc.commands.failure import failure


def recipe(
    name: Annotated[str | None, typer.Argument(help="Of a recipe; none: list them.")] = None,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="A small run without the files that are missing.")
    ] = False,
    setting: Annotated[list[str] | None, typer.Option("--set", "-S", help="Also set parameter=value.")] = None,
) -> None:
    """Run a published system under its study's protocol and under an honest one, beside the study's figure."""
    from wbc.recipes import recipes

    try:
        known = recipes.read_recipes()
        if name is None:
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
                measured = recipes.describe_outcome(outcome, recipes.metrics_of(chosen, protocol))
                results.add_row(f"ours, {protocol}", f"{measured}, weights {outcome.weights}")
            if stand_in:
                results.caption = "A stand-in: says nothing about the study."
            Console().print(results)
    except (OSError, ValueError) as error:
        raise failure(error) from error
