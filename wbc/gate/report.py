"""Shows the checks of the gate to people, on a console and in Markdown."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wbc.gate.gate import Check, is_open
from wbc.tools.markdown import render_table

HEADER = ("rule", "measured (95 % interval)", "required", "outcome")
STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def print_checks(checks: Sequence[Check]) -> None:
    """Print the ``checks`` as a table, what is to be said of some of them, and the verdict."""
    table = Table()
    for name in HEADER:
        table.add_column(name, no_wrap=True)
    for check in checks:
        *cells, outcome = _cells(check)
        table.add_row(*cells, Text(outcome, style=STYLES[outcome]))
    console = Console(soft_wrap=True)
    console.print(table)
    for check in checks:
        if check.note:
            console.print(Text(f"{check.rule}: {check.note}", style=STYLES[check.outcome]))
    console.print(Text(summarise(checks)))


def render_checks(checks: Sequence[Check]) -> str:
    """Return the same in Markdown."""
    notes = [f"- {check.rule}: {check.note}\n" for check in checks if check.note]
    return "\n".join([f"### {summarise(checks)}\n", render_table(HEADER, map(_cells, checks)), *notes])


def summarise(checks: Sequence[Check]) -> str:
    """Return the verdict in one line."""
    count = Counter(check.outcome for check in checks)
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    if is_open(checks):
        return f"the gate is open: {count['passed']} checks passed{skipped}"
    return f"the gate is shut: {count['failed']} of {len(checks)} checks failed{skipped}"


def _cells(check: Check) -> tuple[str, str, str, str]:
    bounds = {"≥": check.at_least, "≤": check.at_most}
    required = next((f"{sign} {bound:g}" for sign, bound in bounds.items() if bound is not None), "")
    measured = f"{check.measured:.4f}" if check.measured is not None else "absent" if required else ""
    if check.low is not None and check.high is not None:
        measured += f" ({check.low:.3f} to {check.high:.3f})"
    return check.rule, measured, required, check.outcome
