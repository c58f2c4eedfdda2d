"""`wbc promote`: which registered model is the champion."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wbc.commands.failure import failure
from wbc.commands.quiet import be_quiet

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from wbc.tracking.promotion import Promotion


def promote(
    rollback: Annotated[
        bool,
        typer.Option(
            "--rollback",
            help="Make the champion before the present one so again; the latter stays back until --reinstate.",
        ),
    ] = False,
    reinstate: Annotated[
        bool, typer.Option("--reinstate", help="Let this model become champion again though it was rolled back.")
    ] = False,
) -> None:
    """Register models/model.keras with MLflow as challenger; as champion if `wbc gate` lets it pass, else exit 1.

    A model that is champion already is judged too: exit 1 if it fails, though it stays champion until --rollback.
    Serve the champion as models:/wbc@champion: uint8 images in, probabilities out.
    """
    be_quiet()
    from wbc.base.params import read_section
    from wbc.gate.gate import is_open
    from wbc.gate.params import GateParams
    from wbc.tracking import promotion

    try:
        if rollback:
            before, after = promotion.roll_back()
            _print_handover(before, after, why="rolled back")
            _print(f"version {before.version} stays back until `wbc promote --reinstate` of its model")
            return
        result = promotion.promote(Path(), gate=read_section(GateParams, "gate"), reinstate=reinstate)
    except ValueError as error:
        raise failure(error) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise failure(OSError(f"MLflow unreachable or unwilling ({reason}): nothing is promoted")) from error
    _print_promotion(result)
    raise typer.Exit(0 if is_open(result.checks) else 1)


def _print_promotion(result: "Promotion") -> None:
    """Print what became of the model, and why."""
    from wbc.gate.gate import is_open
    from wbc.gate.report import print_checks, summarise

    version, before = result.version, result.before
    if before and before.version == version.version:
        _print(f"version {version.version} of {version.name} is this model and champion already")
        print_checks(result.checks)
        if not is_open(result.checks):
            _print(
                f"version {version.version} fails the present rules and stays champion until `wbc promote --rollback`",
                style="bold red",
            )
        return
    _print(
        f"version {version.version} of {version.name} {'registered' if result.is_new else 'is this model'}: challenger"
    )
    print_checks(result.checks)
    if is_open(result.checks):
        _print_handover(before, version, why=summarise(result.checks))
    else:
        holder = f"version {before.version} stays champion" if before else "there is no champion"
        _print(f"version {version.version} stays challenger, {holder}", style="bold red")


def _print_handover(before: "ModelVersion | None", after: "ModelVersion", *, why: str) -> None:
    """Print who was champion, who is now, why, and what each scored on its test part."""
    from wbc.tracking.promotion import MERITS

    former = f"was version {before.version}" if before else "there was none"
    _print(f"champion of {after.name} is now version {after.version}, {former}: {why}", style="green")
    versions = [version for version in (before, after) if version]
    table = Table("test part", *(f"version {version.version}" for version in versions))
    for row in ("model", "git_commit", *(f"test_{name}" for name in MERITS)):
        table.add_row(row, *(version.tags.get(row, "absent") for version in versions))
    Console().print(table)


def _print(line: str, *, style: str = "") -> None:
    Console(soft_wrap=True).print(Text(line, style=style))
