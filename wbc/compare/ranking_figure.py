"""Draws the intervals of models side by side."""

from collections.abc import Collection, Mapping
from pathlib import Path

from wbc.scores.intervals import Interval
from wbc.tools.figure_style import FAINT, PALETTE, drawn


def draw_ranking(
    path: Path, *, results: Mapping[str, Interval], faint: Collection[str], title: str, label: str, note: str
) -> None:
    """Draw each of ``results`` as a dot with its interval, the first on top and as a line down to the last.

    Those named in ``faint`` are hollow and grey. ``title`` and ``label`` (of the x axis) say what is shown, ``note``
    stands below.
    """
    lines = sum(name.count("\n") for name in results)
    with drawn(path, height=1.5 + 0.34 * len(results) + 0.14 * lines) as figure:
        axes = figure.add_subplot()
        for position, (name, interval) in enumerate(results.items()):
            colour = FAINT if name in faint else PALETTE[1]
            axes.plot([interval.low, interval.high], [position, position], color=colour, solid_capstyle="butt")
            filling = "white" if name in faint else colour
            axes.plot(interval.value, position, "o", color=colour, markerfacecolor=filling, markersize=7)
        first = next(iter(results.values()))
        axes.axvline(first.value, color=FAINT, linestyle=":", linewidth=1.2, zorder=0)
        axes.set_yticks(range(len(results)), list(results))
        axes.set(ylim=(len(results) - 0.5, -0.5), xlabel=label)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        figure.suptitle(title, x=0.005, ha="left")
        figure.supxlabel(note, x=0.005, ha="left", fontsize="small", color=FAINT)
