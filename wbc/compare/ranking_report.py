"""Writes a ranking down: the table of `wbc compare`, what it leaves out, and its figure."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from wbc.base.files import written_aside
from wbc.compare.comparison import Difference
from wbc.compare.ranking import Ranking, Row
from wbc.compare.ranking_figure import draw_ranking
from wbc.scores.intervals import Interval
from wbc.tools.fallback import fell_back
from wbc.tools.markdown import MARKS, insert_table, render_table

_RAREST = 0.001  # p-value, the least that is printed


def table_of(ranking: Ranking) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table, cells in Markdown. Columns that would be empty are left out."""
    metric = ranking.metric.replace("_", " ")
    columns: dict[str, Callable[[Row], str]] = {
        "model": lambda row: f"`{row.run['model']}`",
        "run": lambda row: _count(row.names),
        "weights": lambda row: name_weights(row.run),
        "other parameters": lambda row: "<br>".join(_describe(row.settings)),
        f"{metric} (95 %)": lambda row: _interval(row.result, form="{:.3f}"),
        "SD over seeds": lambda row: f"{row.spread:.3f}" if row.spread == row.spread else "",
        "against the best (95 %)": lambda row: _interval(row.difference, form="{:+.3f}") if row.difference else "",
        "p": lambda row: _p(row.difference.p_value) if row.difference else "",
        "p, McNemar": lambda row: "" if row.mcnemar is None else _p(row.mcnemar),
        "train stage, s": lambda row: _number(row.train_seconds),
        "inference, images/s": lambda row: _number(row.images_per_second),
        "source": lambda row: row.run["data.source"],
        "split": lambda row: row.run["split.strategy"],
    }
    filled = {name: [cell(row) for row in ranking.rows] for name, cell in columns.items()}
    shown = {name: cells for name, cells in filled.items() if any(cells)}
    return list(shown), [list(cells) for cells in zip(*shown.values(), strict=True)]


def notes_of(ranking: Ranking, left_out: pd.DataFrame) -> list[str]:
    """Return what a reader of the table must know, a sentence or two each, and which runs are not in it and why."""
    parts = "test part" if ranking.splits == 1 else "test parts"
    notes = [f"{ranking.splits} {parts} ({ranking.parts}), {ranking.images} images of one seed."]
    notes.append(
        "Intervals: of the mean over seeds, groups of photographs drawn anew. They hold what other photographs would "
        "change, not another training or seed."
    )
    if any(row.spread == row.spread for row in ranking.rows):
        notes.append("SD over seeds: standard deviation of what each seed, with folds and draws of its own, gives.")
    for row in ranking.rows:
        name = ", ".join([f"`{row.run['model']}`", *_describe(row.settings)])
        if row.code:
            notes.append(f"The runs of {name} were trained by different code: {', '.join(row.code)}.")
        if row.other_code:
            notes.append(f"{name} was trained by other code than the best row: {', '.join(row.other_code)}.")
    if len(ranking.rows) > 1:
        notes.append(
            "p: two-sided, of the paired difference to the best row on the same resamples of groups. Not corrected for "
            "the choice of the best among several."
        )
    if any(row.mcnemar is not None for row in ranking.rows):
        notes.append("McNemar: exact test that both are right equally often, images taken for independent.")
    for reason, members in left_out.groupby("reason", sort=False):
        models = [
            f"{name} ({_count(own['mlflow.runName'].tolist())})" for name, own in members.groupby("model", sort=False)
        ]
        notes.append(f"Left out, {reason}: {', '.join(models)}.")
    return notes


def write_report(ranking: Ranking, left_out: pd.DataFrame, *, output: Path, figure: Path) -> None:
    """Draw ``figure`` and put table, figure and notes between the marks of the Markdown file ``output``.

    A file that is not there is made, with the marks. Raises ValueError for a file without marks.
    """
    _draw(ranking, path=figure)
    header, rows = table_of(ranking)
    picture = Path(os.path.relpath(figure, output.parent)).as_posix()
    notes = "".join(f"- {note}\n" for note in notes_of(ranking, left_out))
    if not output.exists():
        with written_aside(output) as aside:
            aside.write_text("# Models compared\n\nMade by `wbc compare`.\n\n" + "\n\n".join(MARKS) + "\n")
    insert_table(output, f"{render_table(header, rows)}\n{notes}\n![Each model with its interval]({picture})\n")


def _draw(ranking: Ranking, *, path: Path) -> None:
    rows = {"\n".join([row.run["model"], *_describe(row.settings)]): row for row in ranking.rows}
    random = {label for label, row in rows.items() if fell_back(row.run)}
    metric = ranking.metric.replace("_", " ").replace("f1", "F1")
    draw_ranking(
        path,
        results={label: row.result for label, row in rows.items()},
        faint=random,
        title=f"{metric}, {ranking.images} images",
        label=f"{metric} with 95 % interval",
        note=ranking.parts + (". Grey: random weights in place of ImageNet's" if random else ""),
    )


def _count(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} runs"


def _describe(settings: dict[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in settings.items()]


def _interval(interval: Interval | Difference, *, form: str) -> str:
    value, low, high = (form.format(number) for number in (interval.value, interval.low, interval.high))
    return f"{value} ({low} to {high})"


def _p(value: float) -> str:
    return f"<{_RAREST}" if value < _RAREST else f"{value:.3f}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value == value else ""


def name_weights(run: Mapping[str, Any]) -> str:
    """Return in Markdown what the training of ``run`` started from; random weights that nobody asked for stand out."""
    return "**random**, no ImageNet" if fell_back(run) else str(run["weights_used"])
