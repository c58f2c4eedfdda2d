"""`wbc publish`: shows in MLflow what the stages left."""

import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from wbc.commands.failure import failure
from wbc.commands.lean import be_lean
from wbc.commands.quiet import be_quiet


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
