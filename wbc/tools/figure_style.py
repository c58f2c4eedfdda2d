"""The style of all figures: PNG files whose bytes depend on nothing but what is drawn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure

from wbc.base.files import written_aside

WIDTH = 8.0  # inches
INK, FAINT = "#333333", "#888888"
# Made to be told apart by the colour-blind: Okabe & Ito (2008) but for its yellow, wine and olive of Tol (2021).
PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933")
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "figure.titlesize": "medium",
    "figure.titleweight": "bold",
    "font.size": 10.0,
    "grid.color": "#E6E6E6",
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "savefig.dpi": 100,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def drawn(path: Path, *, height: float) -> Iterator[Figure]:
    """Yield a figure of ``height`` inches; write it to ``path`` when the block ends well.

    The style starts from matplotlib's defaults, so that no matplotlibrc of a user changes a byte.
    """
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure
        with written_aside(path) as aside:
            figure.savefig(aside, metadata={"Software": None})


def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """Return a colour for each class, the same whatever the order in which the classes are given."""
    return dict(zip(sorted(classes), cycle(PALETTE), strict=False))
