"""Intervals: how far a figure may be from what more data or other seeds would give."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from wbc.base.draws import generator

Floats = NDArray[np.float64]
RESAMPLES = 2000
_AT_ONCE = 250  # resamples, to bound the memory


class Interval(NamedTuple):
    """An estimate and the ends of its interval."""

    value: float
    low: float
    high: float


def mean_interval(
    values: Sequence[float], *, confidence: float = 0.95, least: float = -np.inf, most: float = np.inf
) -> Interval:
    """Return the mean of independent ``values`` and its t-interval (Student 1908).

    The interval ends at ``least`` and ``most``, beyond which no value can lie. Raises ValueError for fewer than two
    values.
    """
    if len(values) < 2:
        raise ValueError(f"an interval needs at least 2 values, got {len(values)}")
    mean = float(np.mean(values))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Interval(mean, max(mean - reach, least), min(mean + reach, most))


def wilson_interval(hits: float, trials: float, *, confidence: float = 0.95) -> Interval:
    """Return the proportion ``hits`` / ``trials`` and its score interval (Wilson 1927), for independent trials.

    Both may be fractions, as effective sizes are. Raises ValueError without trials.
    """
    if trials == 0:
        raise ValueError("a proportion needs at least one trial")
    share, reach = hits / trials, float(stats.norm.ppf((1 + confidence) / 2)) ** 2 / trials
    centre, half = share + reach / 2, float(np.sqrt(reach * (share * (1 - share) + reach / 4)))
    low, high = (centre - half) / (1 + reach), (centre + half) / (1 + reach)
    return Interval(share, 0.0 if share == 0 else low, 1.0 if share == 1 else high)  # not a rounding error beside them


def effective_size(groups: Sequence[str] | NDArray[np.str_]) -> float:
    """Return as how many independent images those of ``groups`` count (Kish 1965, section 8.2); 0 for none.

    It takes images of one group for copies of each other, an intraclass correlation of 1: n / deff, with a design
    effect deff of sum(m * m) / n, where m are the sizes of the groups. Groups of one size count as one image each.
    """
    sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)[1]
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


def bootstrap(
    statistic: Callable[[Floats], pd.DataFrame],
    *,
    groups: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Return ``statistic`` on ``resamples`` draws of as many whole groups as there are, with replacement.

    ``groups`` names each image's group: images of one group are not independent and stay together (the cluster
    bootstrap, Davison & Hinkley 1997, section 3.8). ``statistic`` gets weights (some resamples, images), how often each
    image was drawn, and returns a row for each. Equal ``groups`` and ``seed`` give equal draws, so that the differences
    of two statistics are paired.
    """
    draws = _draw_weights(groups, resamples=resamples, seed=seed)
    return pd.concat([statistic(weights) for weights in draws], ignore_index=True)


def _draw_weights(groups: Sequence[str], *, resamples: int, seed: int) -> Iterator[Floats]:
    names, members = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    random = generator(seed, "bootstrap", len(names))
    for start in range(0, resamples, _AT_ONCE):
        size = min(_AT_ONCE, resamples - start)
        drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
        yield drawn[:, members].astype(np.float64)


def bayesian_bootstrap(
    statistic: Callable[[Floats, Floats], pd.DataFrame],
    *,
    groups: int,
    prior: Floats,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Return ``statistic`` on ``resamples`` draws of weights of ``groups`` whole groups and of imaginary images.

    The weight of a group is exponential, so that none is ever left out (the Bayesian bootstrap, Rubin 1981); that of an
    imaginary image is a gamma variable of the shape that ``prior`` gives it, which stands for what the groups do not
    show (the proper Bayesian bootstrap, Muliere & Secchi 1996). ``statistic`` gets both, (some resamples, groups) and
    (some resamples, *prior.shape), and returns a row for each. Equal arguments give equal draws.
    """
    random = generator(seed, "bayesian bootstrap", groups)
    drawn = []
    for start in range(0, resamples, _AT_ONCE):
        size = min(_AT_ONCE, resamples - start)
        weights = random.standard_exponential((size, groups))
        drawn.append(statistic(weights, random.standard_gamma(prior, size=(size, *prior.shape))))
    return pd.concat(drawn, ignore_index=True)


def percentile_ends(
    resampled: pd.DataFrame, *, confidence: float = 0.95, moved: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Return the rows ``low`` and ``high``, the percentile interval (Efron 1979) of each column of a bootstrap.

    Resamples in which a column is nan, as a class without members makes it, are left out of that column. A column that
    ``moved`` names, with its value on the data themselves, is one that resampling moves to one side: its ends are moved
    back by the mean of the resamples less that value, the bootstrap's estimate of the bias (Efron & Tibshirani 1993,
    section 10.2).
    """
    ends = resampled.quantile([(1 - confidence) / 2, (1 + confidence) / 2]).set_axis(["low", "high"], axis="index")
    for name, value in (moved or {}).items():
        ends[name] -= resampled[name].mean() - value
    return ends
