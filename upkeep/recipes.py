"""The table of docs/recipes.md: `python -m upkeep.recipes`, what MLflow has of each recipe."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from upkeep.recorded import write_table
from wbc.recipes.recipes import (
    PROTOCOLS,
    Outcome,
    Protocol,
    Recipe,
    describe_claim,
    describe_outcome,
    find_run,
    metrics_of,
    read_recipes,
    settings_of,
)
from wbc.tools.markdown import render_table


def tabulate_recipes(runs: pd.DataFrame, recipes: Mapping[str, Recipe]) -> str:
    """Return a Markdown table of the ``recipes`` with what ``runs`` (wbc.tracking.runs.read_runs) has of them.

    Where the real run is not recorded but that of a stand-in is, the cells are those of the stand-in and say so.
    """
    rows = []
    for name, recipe in recipes.items():
        outcomes = _find_runs(runs, recipe, stand_in=False)
        replaced = recipe.stand_in is not None and not any(outcomes.values())
        if replaced:
            outcomes = _find_runs(runs, recipe, stand_in=True)
        shown = replaced and any(outcomes.values())
        mark = "stand-in, says nothing about the study: " * shown
        cells = [
            mark + describe_outcome(outcome, metrics_of(recipe, protocol)) for protocol, outcome in outcomes.items()
        ]
        command = f"`wbc recipe {name}{' --stand-in' * shown}`"
        notes = filter(None, [f"needs {recipe.needs}" if recipe.needs else "", recipe.remark])
        rows.append([command, recipe.study, describe_claim(recipe), *cells, "; ".join(notes)])
    header = ["command", "study", "claimed", "ours, their protocol", "ours, honest protocol", "remark"]
    return render_table(header, rows)


def _find_runs(runs: pd.DataFrame, recipe: Recipe, *, stand_in: bool) -> dict[Protocol, Outcome | None]:
    return {key: find_run(runs, settings=settings_of(recipe, key, stand_in=stand_in)) for key in PROTOCOLS}


def main() -> None:
    """Write every recipe with what was measured of it."""
    write_table(Path("docs/recipes.md"), files=(), tabulate=partial(tabulate_recipes, recipes=read_recipes()))


if __name__ == "__main__":
    main()
