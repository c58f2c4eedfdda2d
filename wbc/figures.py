"""Draws the figures of an evaluation as PNG files whose bytes depend on nothing but the arguments."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from math import ceil
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from sklearn.metrics import auc, roc_curve

from wbc.arrays import Image
from wbc.files import written_aside
from wbc.intervals import Interval

_WIDTH = 8.0  # inches
_CHUNK = 256  # images in memory at a time
_GALLERY = 24  # mistakes
_INK, _FAINT = "#333333", "#888888"
# Made to be told apart by the colour-blind: Okabe & Ito (2008) but for its yellow, wine and olive of Tol (2021).
_PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933")
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": _FAINT,
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": _INK,
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
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


@contextmanager
def _drawn(path: Path, *, height: float) -> Iterator[Figure]:
    """Yield a figure of ``height`` inches; write it to ``path`` when the block ends well.

    The style starts from matplotlib's defaults, so that no matplotlibrc of a user changes a byte.
    """
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        yield figure
        with written_aside(path) as aside:
            figure.savefig(aside, metadata={"Software": None})


def _colours(classes: Sequence[str]) -> dict[str, str]:
    """Return a colour for each class, the same whatever the order in which the classes are given."""
    return dict(zip(sorted(classes), cycle(_PALETTE), strict=False))


def _grid(figure: Figure, count: int, *, columns: int) -> list[Axes]:
    """Return ``count`` bare axes for images, row by row."""
    axes = [figure.add_subplot(ceil(count / columns), columns, number + 1) for number in range(count)]
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    return axes


def confusion_matrix(path: Path, *, counts: Mapping[str, Mapping[str, int]], classes: Sequence[str]) -> None:
    """Draw ``counts`` {truth: {prediction: images}}, shaded by their share of the true class."""
    table = np.array([[counts[truth][prediction] for prediction in classes] for truth in classes])
    support = table.sum(axis=1)
    shares = table / np.maximum(support, 1)[:, None]
    right, images = int(np.trace(table)), int(table.sum())
    crowded = len(classes) > 5
    with _drawn(path, height=6.0) as figure:
        axes = figure.add_subplot()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            count = table[row, column]
            text, ink = f"{count}\n{share:.0%}" if count else "0", "white" if share > 0.5 else _INK
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9 if crowded else 13)
        slant, alignment = (30, "right") if crowded else (0, "center")
        axes.set_xticks(range(len(classes)), classes, rotation=slant, ha=alignment)
        axes.set_yticks(range(len(classes)), [f"{name}\nn = {n}" for name, n in zip(classes, support, strict=True)])
        axes.set(xlabel="prediction, with its share of the true class", ylabel="truth")
        axes.set_title(f"{right} of {images} images right: accuracy {right / images:.3f}")
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)


def roc_curves(
    path: Path, *, truth: NDArray[np.integer], probabilities: NDArray[np.floating], classes: Sequence[str]
) -> None:
    """Draw the one-vs-rest ROC curve of each class that has both members and others.

    ``truth`` (images,) holds indices into ``classes``, ``probabilities`` is (images, classes).
    """
    colours = _colours(classes)
    with _drawn(path, height=5.2) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=_FAINT, linestyle=":", linewidth=1.2)
        for index, name in enumerate(classes):
            member = truth == index
            if not 0 < member.sum() < len(member):
                continue
            false_positives, true_positives, _ = roc_curve(member, probabilities[:, index])
            label = f"{name}  {auc(false_positives, true_positives):.3f}  (n = {member.sum()})"
            axes.plot(false_positives, true_positives, color=colours[name], label=label, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="1 - specificity", ylabel="sensitivity")
        axes.set_title("Each class against the rest")
        figure.legend(loc="outside right center", title="area under the curve", alignment="left")


def intervals(
    path: Path, *, results: Mapping[str, Interval], faint: Collection[str], title: str, label: str, note: str
) -> None:
    """Draw each of ``results`` as a dot with its interval, the first on top and as a line down to the last.

    Those named in ``faint`` are hollow and grey. ``title`` and ``label`` (of the x axis) say what is shown, ``note``
    stands below.
    """
    lines = sum(name.count("\n") for name in results)
    with _drawn(path, height=1.5 + 0.34 * len(results) + 0.14 * lines) as figure:
        axes = figure.add_subplot()
        for position, (name, interval) in enumerate(results.items()):
            colour = _FAINT if name in faint else _PALETTE[1]
            axes.plot([interval.low, interval.high], [position, position], color=colour, solid_capstyle="butt")
            filling = "white" if name in faint else colour
            axes.plot(interval.value, position, "o", color=colour, markerfacecolor=filling, markersize=7)
        first = next(iter(results.values()))
        axes.axvline(first.value, color=_FAINT, linestyle=":", linewidth=1.2, zorder=0)
        axes.set_yticks(range(len(results)), list(results))
        axes.set(ylim=(len(results) - 0.5, -0.5), xlabel=label)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        figure.suptitle(title, x=0.005, ha="left")
        figure.supxlabel(note, x=0.005, ha="left", fontsize="small", color=_FAINT)


def class_distribution(path: Path, *, stages: Mapping[str, Mapping[str, int]]) -> None:
    """Draw the images of each class at each of ``stages`` {stage: {class: images}}, a class without any as 0."""
    classes = sorted({name for counts in stages.values() for name in counts})
    thickness = 0.8 / len(stages)
    with _drawn(path, height=1.2 + 0.24 * len(classes) * len(stages)) as figure:
        axes = figure.add_subplot()
        for number, (stage, counts) in enumerate(stages.items()):
            positions = np.arange(len(classes)) + (number - (len(stages) - 1) / 2) * thickness
            images = [counts.get(name, 0) for name in classes]
            shade = matplotlib.colormaps["cividis"](0.1 + 0.8 * number / max(len(stages) - 1, 1))
            bars = axes.barh(positions, images, height=0.9 * thickness, color=shade, label=f"{stage}: {sum(images)}")
            axes.bar_label(bars, padding=3, fontsize=9)
        axes.set_yticks(range(len(classes)), classes)
        axes.margins(y=0.02)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel="images")
        figure.legend(loc="outside upper center", ncols=min(len(stages), 4), handlelength=1)


def average_images(path: Path, *, images: Image, labels: Sequence[str]) -> None:
    """Draw the mean of each class's images; ``images`` (images, height, width, 3) uint8 may be memory-mapped."""
    members = _members(labels)
    colours = _colours(list(members))
    columns = min(len(members), 5)
    height = ceil(len(members) / columns) * (_WIDTH / columns * images.shape[1] / images.shape[2] + 0.5)
    with _drawn(path, height=height) as figure:
        for axes, (name, indices) in zip(_grid(figure, len(members), columns=columns), members.items(), strict=True):
            total = sum(chunk.sum(axis=0, dtype=np.int64) for chunk in _chunks(images, indices))
            axes.imshow(np.rint(total / len(indices)).astype(np.uint8))
            axes.set_title(name, color=colours[name])
            axes.set_xlabel(f"mean of {len(indices)}", loc="left")


def pixel_distribution(path: Path, *, images: Image, labels: Sequence[str]) -> None:
    """Draw how often each intensity occurs in the red, green and blue of each class.

    ``images`` (images, height, width, 3) uint8 may be memory-mapped.
    """
    members = _members(labels)
    colours = _colours(list(members))
    histograms = {name: _histograms(images, indices) for name, indices in members.items()}
    with _drawn(path, height=3.4) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        for channel, (axes, title) in enumerate(zip(panels, ("red", "green", "blue"), strict=True)):
            for name, histogram in histograms.items():
                axes.plot(histogram[channel], color=colours[name], linewidth=1.5, label=name if channel == 0 else None)
            axes.set(xlim=(0, 255), xticks=[0, 64, 128, 192, 255])
            axes.set_title(title)
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        panels[0].set_ylim(0)
        panels[0].set_ylabel("share of pixels")
        figure.supxlabel("intensity", fontsize="medium")
        figure.legend(loc="outside upper center", ncols=min(len(members), 4))


def _members(labels: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    """Return each class, sorted, with the positions of its images."""
    names = np.asarray(labels)
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


def _chunks(images: Image, indices: NDArray[np.intp]) -> Iterator[Image]:
    """Yield the images at ``indices`` a few at a time."""
    for start in range(0, len(indices), _CHUNK):
        yield images[indices[start : start + _CHUNK]]


def _histograms(images: Image, indices: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the share of each of the 256 intensities in each channel (3, 256)."""
    counts = np.zeros((3, 256))
    for chunk in _chunks(images, indices):
        for channel in range(3):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    return counts / counts.sum(axis=1, keepdims=True)


def mistakes(
    path: Path,
    *,
    images: Image,
    positions: Sequence[int],
    truth: Sequence[str],
    prediction: Sequence[str],
    confidence: NDArray[np.floating],
    identifiers: Sequence[str],
) -> None:
    """Draw at most 24 images whose prediction is wrong, the most confident first, equals by identifier.

    ``images`` (images, height, width, 3) uint8 may be memory-mapped; only those drawn are read. ``positions`` says
    where in it the others' rows are: ``truth`` and ``prediction`` are class names, ``confidence`` is the probability
    of the prediction.
    """
    wrong = np.flatnonzero(np.asarray(truth) != np.asarray(prediction))
    order = sorted(wrong.tolist(), key=lambda index: (-confidence[index], identifiers[index]))[:_GALLERY]
    columns = 4
    height = 0.4 + ceil(len(order) / columns) * (_WIDTH / columns * images.shape[1] / images.shape[2] + 0.5)
    with _drawn(path, height=height if order else 1.0) as figure:
        if not order:
            figure.suptitle(f"No mistake among {len(truth)} images", y=0.5, va="center")
            return
        shown = f", the {len(order)} most confident" if len(wrong) > len(order) else ", the most confident first"
        figure.suptitle(f"{len(wrong)} of {len(truth)} images called wrong{shown}", x=0.005, ha="left")
        for axes, index in zip(_grid(figure, len(order), columns=columns), order, strict=True):
            axes.imshow(images[positions[index]])
            axes.set_title(f"{truth[index]} called\n{prediction[index]} {confidence[index]:.2f}", weight="normal")
            axes.set_xlabel(identifiers[index], loc="left", fontsize="small", color=_FAINT)


def learning_curves(path: Path, *, history: pd.DataFrame) -> None:
    """Draw loss, accuracy and learning rate over the epochs, and mark the epoch with the least validation loss.

    ``history`` has the columns epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, one row for each epoch.
    """
    best = history.iloc[int(history["val_loss"].argmin())]
    with _drawn(path, height=3.4) as figure:
        panels = figure.subplots(1, 3, width_ratios=[3, 3, 2])
        for axes, metric in zip(panels, ("loss", "accuracy"), strict=False):
            axes.plot(history["epoch"], history[metric], color=_PALETTE[1], marker=".", label="training")
            axes.plot(history["epoch"], history[f"val_{metric}"], color=_PALETTE[0], marker=".", label="validation")
            axes.plot(
                best["epoch"], best[f"val_{metric}"], "o", color=_PALETTE[0], markersize=9, markerfacecolor="none"
            )
            axes.set_title(metric)
        panels[2].plot(history["epoch"], history["learning_rate"], color=_FAINT, marker=".")
        panels[2].set_title("learning rate")
        panels[2].set_ylim(0, None)
        panels[2].yaxis.set_major_formatter("{x:g}")
        for axes in panels:
            axes.axvline(best["epoch"], color=_FAINT, linestyle=":", linewidth=1.2, zorder=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.set_xlabel("epoch")
        reached = f"validation loss {best['val_loss']:.3f}, accuracy {best['val_accuracy']:.3f}"
        figure.suptitle(f"Best epoch {best['epoch']:g}: {reached}", x=0.005, ha="left")
        panels[0].legend()
