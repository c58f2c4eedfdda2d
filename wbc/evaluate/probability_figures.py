"""Draws what predicted probabilities are worth: how they rank, how honest they are, and what a threshold costs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from wbc.evaluate.review import coverage_and_error, needs_review
from wbc.scores.intervals import wilson_interval
from wbc.scores.measures import BINS, confidence_bins
from wbc.scores.predictions import Predicted
from wbc.tools.figure_style import FAINT, INK, PALETTE, class_colours, drawn


def roc_curves(path: Path, *, predicted: Predicted, classes: Sequence[str]) -> None:
    """Draw the one-vs-rest ROC curve of each class that has both members and others."""
    colours = class_colours(classes)
    with drawn(path, height=5.2) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=FAINT, linestyle=":", linewidth=1.2)
        for name, member, score in _one_against_rest(predicted, classes=classes):
            false_positives, true_positives, _ = roc_curve(member, score)
            label = f"{name}  {auc(false_positives, true_positives):.3f}  (n = {member.sum()})"
            axes.plot(false_positives, true_positives, color=colours[name], label=label, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="1 - specificity", ylabel="sensitivity")
        axes.set_title("Each class against the rest")
        figure.legend(loc="outside right center", title="area under the curve", alignment="left")


def precision_recall_curves(path: Path, *, predicted: Predicted, classes: Sequence[str]) -> None:
    """Draw the one-vs-rest precision-recall curve of each class that has both members and others.

    The average precision is the area under the steps (wbc.scores.measures.measure); the dotted line of a class is its
    share of the images, what a prediction by chance reaches.
    """
    colours = class_colours(classes)
    with drawn(path, height=5.2) as figure:
        axes = figure.add_subplot()
        for name, member, score in _one_against_rest(predicted, classes=classes):
            precision, sensitivity, _ = precision_recall_curve(member, score)
            label = f"{name}  {average_precision_score(member, score):.3f}  (n = {member.sum()})"
            axes.axhline(member.mean(), color=colours[name], linestyle=":", linewidth=1.2)
            axes.step(sensitivity, precision, where="post", color=colours[name], label=label, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="sensitivity (recall)", ylabel="precision (PPV)")
        axes.set_title("Each class against the rest; dotted: its share of the images")
        figure.legend(loc="outside right center", title="average precision", alignment="left")


def _one_against_rest(
    predicted: Predicted, *, classes: Sequence[str]
) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.floating]]]:
    """Yield name, members (images,) and probability (images,) of each class that has both members and others."""
    for index, name in enumerate(classes):
        member = predicted.truth == index
        if 0 < member.sum() < len(member):
            yield name, member, predicted.probabilities[:, index]


def reliability_diagram(path: Path, *, predicted: Predicted, scores: Mapping[str, Any]) -> None:
    """Draw accuracy against confidence in ten equal bins (DeGroot & Fienberg 1983; Guo et al. 2017) and their sizes.

    The bars are Wilson's 95 % intervals. ``scores`` are those of wbc.scores.scores.evaluate.
    """
    right, confidence = predicted.right, predicted.confidence
    bins = confidence_bins(confidence)
    edges = np.arange(BINS + 1) / BINS
    with drawn(path, height=6.4) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], color=FAINT, linestyle=":", linewidth=1.2)
        for number in np.unique(bins):
            member = bins == number
            accuracy, low, high = wilson_interval(int(right[member].sum()), int(member.sum()))
            place = confidence[member].mean()
            upper.plot([place, place], [place, accuracy], color=INK, linewidth=1.2, zorder=3)  # ECE's gap
            upper.plot([place, place], [low, high], color=PALETTE[1], linewidth=6, alpha=0.25, solid_capstyle="butt")
            upper.plot(place, accuracy, "o", color=PALETTE[1], clip_on=False, zorder=4)
        upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        upper.xaxis.set_ticks(edges)
        names = {"ECE": "expected_calibration_error", "Brier score": "brier_score", "log loss": "log_loss"}
        upper.set_title(", ".join(f"{name} {scores[metric]:.3f}" for name, metric in names.items()))
        bars = lower.bar(edges[:-1], np.bincount(bins, minlength=BINS), width=1 / BINS, align="edge", color=PALETTE[1])
        lower.bar_label(bars, labels=[f"{bar.get_height():g}" if bar.get_height() else "" for bar in bars], fontsize=9)
        lower.set(xlabel="confidence: the probability of the prediction", ylabel="images")
        lower.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        lower.margins(y=0.2)


def coverage_risk_curves(path: Path, *, parts: Mapping[str, Predicted], review: Mapping[str, Any] | None) -> None:
    """Draw the error among the accepted predictions against their share, for each of ``parts`` by name.

    The ring is where the threshold of ``review`` (wbc.evaluate.review.score_review) leads; None: nothing was wished
    for.
    """
    with drawn(path, height=4.4) as figure:
        axes = figure.add_subplot()
        for colour, (part, predicted) in zip(PALETTE, parts.items(), strict=False):
            curve = coverage_and_error(predicted)
            axes.plot(curve["coverage"], curve["error"], color=colour, marker=".", markersize=4, label=part)
            kept = curve[~needs_review(curve["threshold"].to_numpy(), review["threshold"])] if review else curve[:0]
            if len(kept):  # an empty line that is not clipped would stretch the layout
                coverage, error = kept[["coverage", "error"]].iloc[-1]
                axes.plot(coverage, error, "o", color=colour, markersize=11, markerfacecolor="none", clip_on=False)
        title = "The most confident predictions are accepted first"
        if review:
            wished, threshold = review["wished_error"], review["threshold"]
            axes.axhline(wished, color=FAINT, linestyle=":", linewidth=1.2, label=f"wished on validation: {wished:.1%}")
            title += "; none is enough" if threshold is None else f"; ringed: confidence {threshold:.3f} or more"
        axes.set(xlim=(0, 1.01), xlabel="coverage: share of predictions that are accepted", ylabel="error among them")
        axes.set_ylim(0, None)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=3)
