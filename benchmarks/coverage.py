"""How often an interval holds the truth: drawn classifiers whose value on ever more photographs is known.

A classifier gives each photograph the softmax of a strength for its true class plus noise. Many test parts of the size
of BCCD's are drawn; a 95 % interval should hold the classifier's true value on 95 % of them, and lie wholly above it,
which flatters, on 2.5 %.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from benchmarks.measure import print_machine, print_table
from wbc.base.draws import generator
from wbc.scores.intervals import bootstrap, mean_interval, percentile_ends
from wbc.scores.measures import INFLATED
from wbc.scores.uncertainty import Answered, Seeds, group_names, interval_ends, values, weigher
from wbc.tools.parallel import map_parallel

CLASSES = ["EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL"]
SIZES = np.array([17, 7, 4, 41])  # of BCCD's test part
LARGE = 2000  # times as many images have the true value
SCALE = 1.3  # of logits
ALIKE = 0.9  # share of the noise's variance that twins have in common
FROM_SEED = 0.5  # share of the noise's variance that another seed draws anew
METRICS = [
    *("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "kappa", "auroc", "average_precision"),
    *("log_loss", "brier_score", "expected_calibration_error"),
    *("per_class.MONOCYTE.sensitivity", "per_class.NEUTROPHIL.precision", "per_class.MONOCYTE.f1"),
    "per_class.MONOCYTE.auroc",
]


class Kind(NamedTuple):
    """A classifier and its photographs."""

    strengths: Sequence[float] | None  # of each class, in standard deviations of the noise; None says NEUTROPHIL always
    twins: bool = False  # every third photograph shows the cell of the one before


KINDS = {
    "constant": Kind(None),
    "fair": Kind([1.9] * 4),
    "good": Kind([2.6] * 4),
    "excellent": Kind([3.5] * 4),
    "uneven": Kind([1.8, 4.0, 4.0, 2.6]),
    "good, twins": Kind([2.6] * 4, twins=True),
}


def main(
    kind: Annotated[list[str] | None, typer.Option(help="one to draw; give it several times; else all")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="likewise")] = None,
    trials: Annotated[int, typer.Option(help="test parts of each kind", min=1)] = 300,
    resamples: Annotated[int, typer.Option(help="of each interval", min=40)] = 400,
    seeds: Annotated[str, typer.Option(help="numbers of seeds, for the intervals of a mean over seeds")] = "3,5,10",
) -> None:
    """Print how often each kind of interval holds the true value, and how often it lies above it or below."""
    print_machine("numpy", "scipy")
    metrics, numbers = metric or METRICS, [int(number) for number in seeds.split(",") if number]
    rows = [row for name in kind or KINDS for row in cover(name, metrics=metrics, trials=trials, resamples=resamples)]
    header = ["kind", "measure", "true", "interval", "holds it", "above it", "below it", "width"]
    print_table(header=header, rows=rows)
    if numbers:
        rows = [row for number in numbers for row in cover_seeds(number, trials=trials, resamples=resamples)]
        print_table(header=["seeds", *header[1:]], rows=rows)


def cover(name: str, *, metrics: Sequence[str], trials: int, resamples: int) -> list[list[str]]:
    """Return the rows of one of KINDS: percentiles of resampled groups, and wbc.scores.uncertainty.interval_ends."""
    kind = KINDS[name]
    true = values([[draw(kind, SIZES * LARGE, random=generator(0, name))]], classes=CLASSES)
    try_one = partial(_try, kind=kind, metrics=metrics, resamples=resamples)
    tried = list(map_parallel(try_one, list(range(trials)), description=name))
    return [
        [name, metric, f"{true[metric]:.3f}", way, *_describe([one[way][metric] for one in tried], float(true[metric]))]
        for metric in metrics
        for way in ("percentiles", "ours")
    ]


def _try(trial: int, *, kind: Kind, metrics: Sequence[str], resamples: int) -> dict[str, pd.DataFrame]:
    seeds = [[draw(kind, SIZES, random=generator(1, str(kind), trial))]]
    value = values(seeds, classes=CLASSES)
    names = group_names(seeds)
    weigh = weigher(seeds, classes=CLASSES, names=names)
    drawn = bootstrap(weigh, groups=names, resamples=resamples, seed=trial)
    return {
        "percentiles": percentile_ends(drawn, moved={name: value[name] for name in INFLATED})[list(metrics)],
        "ours": interval_ends(seeds, classes=CLASSES, metrics=metrics, resamples=resamples),
    }


def cover_seeds(number: int, *, trials: int, resamples: int) -> list[list[str]]:
    """Return the rows of the mean over so many seeds of the good classifier, all tested on the same photographs."""
    kind, metric = KINDS["good"], "balanced_accuracy"
    true = values([[draw(kind, SIZES * LARGE, random=generator(0, "seeds"))]], classes=CLASSES)[metric]
    try_one = partial(_try_seeds, number=number, kind=kind, metric=metric, resamples=resamples)
    tried = list(map_parallel(try_one, list(range(trials)), description=f"{number} seeds"))
    return [
        [str(number), metric, f"{true:.3f}", way, *_describe([one[way] for one in tried], float(true))]
        for way in ("t over seeds", "ours")
    ]


def _try_seeds(trial: int, *, number: int, kind: Kind, metric: str, resamples: int) -> dict[str, pd.Series]:
    seeds = draw_seeds(kind, SIZES, number=number, random=generator(1, "seeds", trial))
    each = [float(values([folds], classes=CLASSES)[metric]) for folds in seeds]
    student = mean_interval(each, least=0, most=1)
    ends = interval_ends(seeds, classes=CLASSES, metrics=[metric], resamples=resamples)
    return {"t over seeds": pd.Series({"low": student.low, "high": student.high}), "ours": ends[metric]}


def _describe(tried: Sequence[pd.Series], true: float) -> list[str]:
    low, high = (np.array([one[end] for one in tried]) for end in ("low", "high"))
    low, high = low[np.isfinite(low)], high[np.isfinite(low)]
    if not len(low):
        return ["-"] * 4
    above, below = (low > true + 1e-9).mean(), (high < true - 1e-9).mean()  # rounding is no miss
    return [f"{1 - above - below:.3f}", f"{above:.3f}", f"{below:.3f}", f"{(high - low).mean():.3f}"]


def draw(kind: Kind, sizes: NDArray[np.int_], *, random: np.random.Generator) -> Answered:
    """Return what a classifier of ``kind`` makes of photographs, ``sizes`` (classes,) of each class."""
    truth = np.repeat(np.arange(len(CLASSES)), sizes)
    noise = random.standard_normal((len(truth), len(CLASSES)))
    number = np.arange(len(truth))
    twin = kind.twins & (number % 3 == 1) & (truth == np.roll(truth, 1))
    groups = np.where(twin, number - 1, number)
    noise[twin] = np.sqrt(ALIKE) * noise[groups[twin]] + np.sqrt(1 - ALIKE) * noise[twin]
    return Answered(list(map(str, groups)), truth, _answer(kind, truth, noise))


def draw_seeds(kind: Kind, sizes: NDArray[np.int_], *, number: int, random: np.random.Generator) -> Seeds:
    """Return what so many networks of ``kind``, alike but for their seed, make of the same photographs."""
    truth = np.repeat(np.arange(len(CLASSES)), sizes)
    shape = len(truth), len(CLASSES)
    common = random.standard_normal(shape)
    noises = [
        np.sqrt(1 - FROM_SEED) * common + np.sqrt(FROM_SEED) * random.standard_normal(shape) for _ in range(number)
    ]
    names = list(map(str, range(len(truth))))
    return [[Answered(names, truth, _answer(kind, truth, noise))] for noise in noises]


def _answer(kind: Kind, truth: NDArray[np.int_], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities (images, classes)."""
    if kind.strengths is None:
        logits = np.tile(np.eye(len(CLASSES))[-1], (len(truth), 1))
    else:
        logits = SCALE * (np.diag(kind.strengths)[truth] + noise)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


if __name__ == "__main__":
    typer.run(main)
