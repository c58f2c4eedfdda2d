"""Figures of what a model looks at, and of how its features set the classes apart."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from wbc.data.arrays import Image
from wbc.explain.explain import Explanation
from wbc.tools.figure_style import FAINT, INK, WIDTH, class_colours, drawn

_EACH = 2  # right and wrong examples of a class
_HEADING, _CAPTION = 0.75, 0.28  # inches above the rows, above each row


def evidence_maps(path: Path, *, examples: pd.DataFrame, images: Image, explanation: Explanation) -> None:
    """Draw each of the ``examples`` of wbc.explain.explain.choose_examples beside itself under its map.

    ``images`` (examples, height, width, 3), uint8, and the maps of ``explanation`` are in the order of ``examples``.
    A row holds up to two right and two wrong examples of one true class.
    """
    names = sorted(examples["truth"].unique())
    row = WIDTH / (4 * _EACH) * images.shape[1] / images.shape[2] + _CAPTION
    with drawn(path, height=_HEADING + len(names) * row) as figure:
        title = f"{explanation.method}: what in the image speaks for the prediction, most where it is yellow"
        figure.suptitle(title, x=0.005, ha="left")
        halves = figure.subfigures(1, 2, squeeze=False)
        for half, right in zip(halves.flat, (True, False), strict=True):
            half.suptitle(
                f"{'right' if right else 'wrong'}, the most confident\n", x=0.01, ha="left"
            )  # room for captions
            rows = [np.flatnonzero((examples["truth"] == name) & (examples["right"] == right)) for name in names]
            _draw_half(half, rows, examples=examples, images=images, explanation=explanation)


def _draw_half(
    half: SubFigure,
    rows: Sequence[NDArray[np.intp]],
    *,
    examples: pd.DataFrame,
    images: Image,
    explanation: Explanation,
) -> None:
    """Draw a row of pairs for each of ``rows``, positions in the others."""
    grid = half.subplots(len(rows), 2 * _EACH, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for line, members in zip(grid, rows, strict=True):
        for number, member in enumerate(members):
            plain, mapped = line[2 * number : 2 * number + 2]
            example = examples.iloc[member]
            plain.imshow(images[member])
            mapped.imshow(_overlay(images[member], explanation.maps[member]))
            called = "" if example["right"] else f" called {example['prediction']}"
            text = f"{example['truth']}{called}\n{example['confidence']:.2f}  {example['id']}"
            caption = plain.text(0, 1.04, text, transform=plain.transAxes, fontsize=6.5, va="bottom")
            caption.set_in_layout(False)  # it may reach over the map beside it
        if not len(members):
            line[0].text(0, 0.5, "none", transform=line[0].transAxes, color=FAINT, fontsize=8)


def _overlay(image: Image, values: NDArray[np.floating]) -> Image:
    """Return a grey version of ``image`` under colours that cover it the more, the higher ``values`` (0 to 1) are."""
    grey = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1)
    colours = 255 * matplotlib.colormaps["plasma"](values)[..., :3]
    share = 0.5 * values[..., None]
    return (grey * (1 - share) + colours * share).round().astype(np.uint8)


def embedding_map(
    path: Path,
    *,
    training: NDArray[np.floating],
    training_labels: Sequence[str],
    test: NDArray[np.floating],
    truth: Sequence[str],
    prediction: Sequence[str],
) -> None:
    """Draw the features of the ``test`` part, on the two principal components of those of the ``training`` part.

    Both are (images, features). Test images are coloured by ``truth``, those whose ``prediction`` is another are ringed
    in its colour; training images lie faint below them.
    """
    components = PCA(2, svd_solver="full").fit(training)
    colours = class_colours(sorted({*training_labels, *truth, *prediction}))
    below, above = components.transform(training), components.transform(test)
    wrong = np.asarray(truth) != np.asarray(prediction)
    with drawn(path, height=5.6) as figure:
        axes = figure.add_subplot()
        dots, rings = [colours[name] for name in truth], [colours[name] for name in np.asarray(prediction)[wrong]]
        faint = [colours[name] for name in training_labels]
        axes.scatter(below[:, 0], below[:, 1], c=faint, s=12, alpha=0.2, linewidths=0)
        axes.scatter(above[:, 0], above[:, 1], c=dots, s=30, edgecolors="white", linewidths=0.6)
        axes.scatter(above[wrong, 0], above[wrong, 1], s=110, facecolors="none", edgecolors=rings, linewidths=1.8)
        first, second = components.explained_variance_ratio_
        axes.set(xlabel=f"first component: {first:.0%} of the variance", ylabel=f"second component: {second:.0%}")
        axes.set_title(f"What the last layer sees of {len(truth)} test images, {wrong.sum()} of them called wrong")
        marks = [_mark(name, color=colours[name]) for name in sorted(colours)]
        marks.append(_mark("called wrong, in the\ncolour of the call", color="none", size=11, edge=INK))
        marks.append(_mark("training part", color=FAINT, size=4))
        figure.legend(handles=marks, loc="outside right center", alignment="left")


def _mark(label: str, *, color: str, size: float = 7, edge: str = "none") -> Line2D:
    return Line2D([], [], linestyle="none", marker="o", color=color, markersize=size, markeredgecolor=edge, label=label)
