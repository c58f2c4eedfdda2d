"""Tables in Markdown pages, made anew between two marks while the text round them stays."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from wbc.base.files import written_aside

MARKS = ("<!-- table -->", "<!-- end of table -->")


def render_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, a line for each row."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def insert_table(path: Path, table: str) -> None:
    """Put ``table`` between the two MARKS in the Markdown file ``path``, in place of what is there.

    Raises ValueError for a file without them.
    """
    before, start, rest = path.read_text().partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not end:
        raise ValueError(f"{path} has no place for a table: write {' and '.join(MARKS)} where it belongs")
    with written_aside(path) as aside:
        aside.write_text(f"{before}{start}\n\n{table}\n{end}{after}")
