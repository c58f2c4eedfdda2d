"""Draws the figures of an evaluation as PNG files whose bytes depend on nothing but the arguments."""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from wbc.data.arrays import Image
from wbc.scores.wording import format_measure, read_interval
from wbc.tools.figure_style import FAINT, INK, PALETTE, WIDTH, class_colours, drawn

_CHUNK = 256  # images in memory at a time
_GALLERY = 24  # mistakes


def _grid(figure: Figure, count: int, *, columns: int) -> list[Axes]:
    """Return ``count`` bare axes for images, row by row."""
    axes = [figure.add_subplot(ceil(count / columns), columns, number + 1) for number in range(count)]
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    return axes


def confusion_matrix(path: Path, *, counts: Mapping[str, Mapping[str, int]], classes: Sequence[str]) -> None:
    """Draw ``counts`` {truth: {prediction: images}}, shaded by their share of the true class."""
    table = _counts_table(counts, classes=classes)
    right, images = int(np.trace(table)), int(table.sum())
    crowded = len(classes) > 5
    with drawn(path, height=6.0) as figure:
        axes = figure.add_subplot()
        _shade_counts(axes, table, size=9 if crowded else 13, shares=True)
        slant, alignment = (30, "right") if crowded else (0, "center")
        axes.set_xticks(range(len(classes)), classes, rotation=slant, ha=alignment)
        support = zip(classes, table.sum(axis=1), strict=True)
        axes.set_yticks(range(len(classes)), [f"{name}\nn = {n}" for name, n in support])
        axes.set(xlabel="prediction, with its share of the true class", ylabel="truth")
        axes.set_title(f"{right} of {images} images right: accuracy {right / images:.3f}")


def confusion_by_flag(
    path: Path, *, counts: Mapping[str, Mapping[str, Mapping[str, int]]], titles: Mapping[str, str]
) -> None:
    """Draw a confusion {truth: {prediction: images}} for each flag of ``counts``, below its title."""
    columns = min(len(counts), 3)
    classes = list(next(iter(counts.values())))
    with drawn(path, height=0.7 + 3.1 * ceil(len(counts) / columns)) as figure:
        figure.supxlabel("prediction", fontsize="medium")
        figure.supylabel("truth", fontsize="medium")
        for axes, (name, confusion) in zip(_grid(figure, len(counts), columns=columns), counts.items(), strict=True):
            _shade_counts(axes, _counts_table(confusion, classes=classes), size=9, shares=False)
            axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=7)
            axes.set_yticks(range(len(classes)), classes, fontsize=7)
            axes.set_title(titles[name], fontsize="small")


def _counts_table(counts: Mapping[str, Mapping[str, int]], *, classes: Sequence[str]) -> NDArray[np.int_]:
    return np.array([[counts[truth][prediction] for prediction in classes] for truth in classes])


def _shade_counts(axes: Axes, table: NDArray[np.int_], *, size: float, shares: bool) -> None:
    """Write the confusion ``table`` in letters of ``size`` points, shaded by its share of each row."""
    parts = table / np.maximum(table.sum(axis=1), 1)[:, None]
    axes.imshow(parts, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), part in np.ndenumerate(parts):
        count = table[row, column]
        text = f"{count}\n{part:.0%}" if count and shares else f"{count}"
        ink = "white" if part > 0.5 else INK
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def class_measures(path: Path, *, per_class: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw sensitivity, specificity and positive predictive value of each class with their 95 % intervals.

    ``per_class`` is that of wbc.scores.scores.evaluate_with_intervals; what is not defined is left out.
    """
    colours = class_colours(list(per_class))
    titles = {"sensitivity": "sensitivity", "specificity": "specificity", "precision": "PPV (precision)"}
    with drawn(path, height=1.4 + 0.55 * len(per_class)) as figure:
        panels = figure.subplots(1, len(titles), sharex=True, sharey=True)
        for axes, (metric, title) in zip(panels, titles.items(), strict=True):
            for row, (name, scores) in enumerate(per_class.items()):
                interval = read_interval(scores, metric)
                if interval is None:
                    continue
                axes.plot([interval.low, interval.high], [row, row], color=colours[name])
                axes.plot(interval.value, row, "o", color=colours[name], clip_on=False)
                text = format_measure(scores, metric, digits=2)
                axes.annotate(text, (0, row), (2, 6), textcoords="offset points", fontsize=8)
            axes.set_title(title)
            axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1], xticklabels=["0", "", "0.5", "", "1"])
            axes.set_ylim(len(per_class) - 0.5, -0.7)
            axes.tick_params(axis="y", length=0)
            axes.grid(visible=False, axis="y")
        panels[0].set_yticks(range(len(per_class)), [f"{name}\nn = {s['support']}" for name, s in per_class.items()])
        panels[1].set_xlabel("with 95 % intervals")


def class_distribution(path: Path, *, stages: Mapping[str, Mapping[str, int]]) -> None:
    """Draw the images of each class at each of ``stages`` {stage: {class: images}}, a class without any as 0."""
    classes = sorted({name for counts in stages.values() for name in counts})
    thickness = 0.8 / len(stages)
    with drawn(path, height=1.2 + 0.24 * len(classes) * len(stages)) as figure:
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
    colours = class_colours(list(members))
    columns = min(len(members), 5)
    height = ceil(len(members) / columns) * (WIDTH / columns * images.shape[1] / images.shape[2] + 0.5)
    with drawn(path, height=height) as figure:
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
    colours = class_colours(list(members))
    histograms = {name: _histograms(images, indices) for name, indices in members.items()}
    with drawn(path, height=3.4) as figure:
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
    height = 0.4 + ceil(len(order) / columns) * (WIDTH / columns * images.shape[1] / images.shape[2] + 0.5)
    with drawn(path, height=height if order else 1.0) as figure:
        if not order:
            figure.suptitle(f"No mistake among {len(truth)} images", y=0.5, va="center")
            return
        shown = f", the {len(order)} most confident" if len(wrong) > len(order) else ", the most confident first"
        figure.suptitle(f"{len(wrong)} of {len(truth)} images called wrong{shown}", x=0.005, ha="left")
        for axes, index in zip(_grid(figure, len(order), columns=columns), order, strict=True):
            axes.imshow(images[positions[index]])
            axes.set_title(f"{truth[index]} called\n{prediction[index]} {confidence[index]:.2f}", weight="normal")
            axes.set_xlabel(identifiers[index], loc="left", fontsize="small", color=FAINT)


def learning_curves(path: Path, *, history: pd.DataFrame) -> None:
    """Draw loss, accuracy and learning rate over the epochs, and mark the epoch with the least validation loss.

    ``history`` has the columns epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, one row for each epoch.
    """
    best = history.iloc[int(history["val_loss"].argmin())]
    with drawn(path, height=3.4) as figure:
        panels = figure.subplots(1, 3, width_ratios=[3, 3, 2])
        for axes, metric in zip(panels, ("loss", "accuracy"), strict=False):
            axes.plot(history["epoch"], history[metric], color=PALETTE[1], marker=".", label="training")
            axes.plot(history["epoch"], history[f"val_{metric}"], color=PALETTE[0], marker=".", label="validation")
            axes.plot(best["epoch"], best[f"val_{metric}"], "o", color=PALETTE[0], markersize=9, markerfacecolor="none")
            axes.set_title(metric)
        panels[2].plot(history["epoch"], history["learning_rate"], color=FAINT, marker=".")
        panels[2].set_title("learning rate")
        panels[2].set_ylim(0, None)
        panels[2].yaxis.set_major_formatter("{x:g}")
        for axes in panels:
            axes.axvline(best["epoch"], color=FAINT, linestyle=":", linewidth=1.2, zorder=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.set_xlabel("epoch")
        reached = f"validation loss {best['val_loss']:.3f}, accuracy {best['val_accuracy']:.3f}"
        figure.suptitle(f"Best epoch {best['epoch']:g}: {reached}", x=0.005, ha="left")
        panels[0].legend()
