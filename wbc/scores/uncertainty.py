"""How far measures may be from those on ever more photographs: of one model, or of a mean over seeds and folds."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wbc.scores.intervals import (
    RESAMPLES,
    bayesian_bootstrap,
    bootstrap,
    effective_size,
    percentile_ends,
    wilson_interval,
)
from wbc.scores.measures import INFLATED, OVERALL, mean_over_classes, measure

RANKS = ("auroc", "average_precision")  # compare probabilities with each other, which means something within one model
PROPORTIONS = ("accuracy", "precision", "sensitivity", "specificity")
CALIBRATION = ("log_loss", "brier_score", "expected_calibration_error")
IMAGINARY = 0.5  # images of each class, half of them right
RANGES = {"mcc": (-1.0, 1.0), "kappa": (-1.0, 1.0), "brier_score": (0.0, 2.0), "log_loss": (0.0, np.inf)}

Floats = NDArray[np.float64]


class Answered(NamedTuple):
    """What one trained model made of some images."""

    groups: Sequence[str]  # (images,)
    truth: NDArray[np.integer]  # (images,), indices into the classes
    probabilities: Floats  # (images, classes)


Seeds = Sequence[Sequence[Answered]]  # for each seed the models of its folds


def mean_measures(seeds: Seeds, *, classes: Sequence[str], weights: Sequence[Sequence[Floats]]) -> pd.DataFrame:
    """Return the mean over ``seeds`` of each measure of wbc.scores.measures.measure, a row for each weighting.

    ``weights`` holds (weightings, images) for each model. The images of a seed's folds are taken together, but RANKS
    are those of each model on its own images, averaged over the folds that have the class (and others), then over
    classes: probabilities of different models do not rank each other's images.
    """
    tables = [_measure_seed(folds, classes=classes, weights=own) for folds, own in zip(seeds, weights, strict=True)]
    return sum(tables[1:], start=tables[0]) / len(tables)


def _measure_seed(folds: Sequence[Answered], *, classes: Sequence[str], weights: Sequence[Floats]) -> pd.DataFrame:
    truth = np.concatenate([model.truth for model in folds])
    probabilities = np.concatenate([model.probabilities for model in folds])
    table = measure(truth, probabilities, classes=classes, weights=np.hstack(weights))
    if len(folds) == 1:
        return table
    apart = [
        measure(model.truth, model.probabilities, classes=classes, weights=own)
        for model, own in zip(folds, weights, strict=True)
    ]
    known = np.isin(np.arange(len(classes)), truth)
    for rank in RANKS:
        by_class = np.full((len(table), len(classes)), np.nan)
        for index, name in enumerate(classes):
            told_apart = [
                one[f"per_class.{name}.{rank}"]
                for one, model in zip(apart, folds, strict=True)
                if 0 < (model.truth == index).sum() < len(model.truth)
            ]
            if told_apart:
                by_class[:, index] = np.mean(told_apart, axis=0)
        table[[f"per_class.{name}.{rank}" for name in classes]] = by_class
        table[rank] = mean_over_classes(by_class, known=known)
    return table


def values(seeds: Seeds, *, classes: Sequence[str]) -> pd.Series:
    """Return each measure of `mean_measures`, every image counting once."""
    ones = [[np.ones((1, len(model.truth))) for model in folds] for folds in seeds]
    return mean_measures(seeds, classes=classes, weights=ones).iloc[0]


def interval_ends(
    seeds: Seeds, *, classes: Sequence[str], metrics: Collection[str] | None = None, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Return the rows ``low`` and ``high``, a 95 % interval of each of ``metrics``, of all columns of `mean_measures`.

    It is of what other photographs of the same kind would change, for the models that are there; a group is one
    independent unit, in every seed the same one. Of three kinds, chosen by their coverage (benchmarks/coverage.py):

    - PROPORTIONS of images: Wilson's, on their effective number (wbc.scores.intervals.effective_size)
    - CALIBRATION, means over images, which an imaginary image would decide: percentiles of `bootstrap`
    - the rest, of confusion and ranks: percentiles of `bayesian_bootstrap`, whose IMAGINARY images keep a
      class without an error from adding no variance. What they pull the mean of the draws from the value adds up over
      classes, so that the ends of overall measures are moved back by it; the value is inside, or one of the ends

    What is nan has no interval: its ends are nan.
    """
    value = values(seeds, classes=classes)
    wanted = [name for name in value.index if metrics is None or name in metrics]
    shares = [name for name in wanted if name.rpartition(".")[2] in PROPORTIONS]
    plain = [name for name in wanted if name in CALIBRATION]
    smooth = value[[name for name in wanted if name not in (*shares, *plain)]]
    ends = pd.DataFrame(np.nan, index=["low", "high"], columns=wanted)
    for name in shares:
        ends[name] = _share_ends(seeds, name, value=value[name], classes=classes)
    if plain:
        names = group_names(seeds)
        weigh = weigher(seeds, classes=classes, names=names)
        drawn = bootstrap(weigh, groups=names, resamples=resamples)[plain]
        ends[plain] = percentile_ends(drawn, moved={name: value[name] for name in plain if name in INFLATED})
    if len(smooth):
        drawn = _draw_with_imaginary(seeds, classes=classes, resamples=resamples)[smooth.index]
        overall = {str(name): number for name, number in smooth.items() if name in OVERALL}
        found = percentile_ends(drawn, moved=overall)
        ends.loc["low", smooth.index] = np.minimum(found.loc["low"], smooth)
        ends.loc["high", smooth.index] = np.maximum(found.loc["high"], smooth)
    least, most = zip(*(RANGES.get(name, (0.0, 1.0)) for name in wanted), strict=True)
    return ends.clip(least, most, axis="columns")


def group_names(seeds: Seeds) -> list[str]:
    """Return the groups of all images, sorted, each once."""
    return sorted({name for folds in seeds for model in folds for name in model.groups})


def weigher(seeds: Seeds, *, classes: Sequence[str], names: Sequence[str]) -> Callable[[Floats], pd.DataFrame]:
    """Return a function from weights (weightings, groups) of the sorted groups ``names`` to their `mean_measures`."""
    columns = [[np.searchsorted(names, model.groups) for model in folds] for folds in seeds]

    def statistic(weights: Floats) -> pd.DataFrame:
        own = [[weights[:, places] for places in folds] for folds in columns]
        return mean_measures(seeds, classes=classes, weights=own)

    return statistic


def _draw_with_imaginary(seeds: Seeds, *, classes: Sequence[str], resamples: int) -> pd.DataFrame:
    """Return the draws of `mean_measures` by groups and by imaginary images, each class's in units of its mean group.

    A model that was tested on a part of a class has that part of its imaginary images.
    """
    count, names = len(classes), group_names(seeds)
    prior = np.full((count, count), IMAGINARY / 2 / max(count - 1, 1))
    np.fill_diagonal(prior, IMAGINARY / 2)
    columns = [[np.searchsorted(names, model.groups) for model in folds] for folds in seeds]
    shares = [[_share_of(model, folds, count=count) for model in folds] for folds in seeds]
    extended = [[_extend(model) for model in folds] for folds in seeds]

    def statistic(by_group: Floats, imaginary: Floats) -> pd.DataFrame:
        weights = [
            [_weigh(by_group[:, places], imaginary, share=share) for places, share in zip(*own, strict=True)]
            for own in zip(columns, shares, strict=True)
        ]
        return mean_measures(extended, classes=classes, weights=weights)

    return bayesian_bootstrap(statistic, groups=len(names), prior=prior, resamples=resamples)


def _share_of(model: Answered, folds: Sequence[Answered], *, count: int) -> Floats:
    """Return by how much the imaginary images of each class (classes,) weigh in one of the ``folds`` of a seed."""
    members = np.bincount(np.concatenate([one.truth for one in folds]), minlength=count)
    return _mean_group_sizes(folds, count=count) * np.bincount(model.truth, minlength=count) / np.maximum(members, 1)


def _extend(model: Answered) -> Answered:
    """Return ``model`` with an imaginary image of each class that it was tested on, for each class called for sure."""
    count = model.probabilities.shape[1]
    known = np.unique(model.truth)
    sure = np.tile(np.eye(count), (len(known), 1))
    return Answered(
        model.groups,
        np.concatenate([model.truth, np.repeat(known, count)]),
        np.concatenate([model.probabilities, sure]),
    )


def _weigh(images: Floats, imaginary: Floats, *, share: Floats) -> Floats:
    """Return the weights of the images of `_extend`; those of ``imaginary`` are (weightings, truth, prediction)."""
    drawn = (imaginary * share[:, None])[:, share > 0]
    return np.hstack([images, drawn.reshape(len(images), -1)])


def _mean_group_sizes(folds: Sequence[Answered], *, count: int) -> Floats:
    """Return how many images of each class (classes,) count as one independent image; 1 for none."""
    truth = np.concatenate([model.truth for model in folds])
    groups = np.concatenate([np.asarray(model.groups, dtype=str) for model in folds])
    members = [groups[truth == index] for index in range(count)]
    return np.array([len(own) / effective_size(own) if len(own) else 1.0 for own in members])


def _share_ends(seeds: Seeds, metric: str, *, value: float, classes: Sequence[str]) -> list[float]:
    """Return the ends of Wilson's interval of the mean over seeds ``value`` of one of PROPORTIONS, nan without trials.

    The same group in another seed is no further trial.
    """
    trials = np.concatenate(
        [
            np.asarray(model.groups, dtype=str)[_trials(model, metric, classes=classes)]
            for folds in seeds
            for model in folds
        ]
    )
    if np.isnan(value):
        return [np.nan, np.nan]
    size = effective_size(trials)
    interval = wilson_interval(value * size, size)
    return [interval.low, interval.high]


def _trials(model: Answered, metric: str, *, classes: Sequence[str]) -> NDArray[np.bool_]:
    """Return which images (images,) are trials of one of PROPORTIONS."""
    if metric == "accuracy":
        return np.ones(len(model.truth), dtype=bool)
    name, kind = metric.removeprefix("per_class.").rsplit(".", 1)
    index = list(classes).index(name)
    match kind:
        case "precision":
            return model.probabilities.argmax(axis=1) == index
        case "sensitivity":
            return model.truth == index
        case _:
            return model.truth != index
