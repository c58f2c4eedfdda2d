"""How a command ends that cannot do its work."""

import typer
from rich.console import Console
from rich.text import Text


def failure(error: Exception) -> typer.Exit:
    """Print an error of the user's files or arguments as a red line on stderr; return the exit that goes with it."""
    Console(stderr=True, soft_wrap=True).print(Text(str(error), style="red"))
    return typer.Exit(2)
