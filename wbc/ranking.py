"""Ranks models that were tested on the same images: how good each is, and how sure the order is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from wbc.comparable import UNKNOWN, configuration_columns, describe_parts
from wbc.comparison import Difference, Predictions, mcnemar, paired_differences
from wbc.intervals import Interval, bootstrap, mean_interval, percentile_ends
from wbc.measures import INFLATED, measure

LESS_IS_BETTER = ("log_loss", "brier_score", "expected_calibration_error")
RANGES = {"mcc": (-1.0, 1.0), "kappa": (-1.0, 1.0), "brier_score": (0.0, 2.0), "log_loss": (0.0, np.inf)}
SEEDS = 3  # from so many on, the interval is over seeds


class Row(NamedTuple):
    """One configuration in a ranking."""

    run: dict[str, Any]  # parameters, metrics and tags of its latest
    settings: dict[str, str]  # those of its parameters that tell it from the others
    result: Interval
    difference: Difference | None  # to the best; None for the best itself
    mcnemar: float | None  # p-value against the best, where there is one split only
    train_seconds: float  # mean over the runs
    images_per_second: float  # mean over the runs


class Ranking(NamedTuple):
    """Configurations that were tested on the same images, the best first."""

    metric: str
    interval: str  # how the intervals were made
    parts: str  # which test parts
    splits: int  # how many
    images: int  # of one seed
    rows: list[Row]


def rank(runs: pd.DataFrame, *, metric: str, read: Callable[[str], Predictions]) -> Ranking:
    """Return the configurations of ``runs`` (Choice.runs), the best ``metric`` of wbc.measures.measure first.

    ``read`` returns the predictions of a ``run_id``. The predictions of one seed are pooled over its folds, so that
    each image counts once, and the metric is the mean over seeds. Its 95 % interval is the t-interval over the seeds
    from three seeds on, else that of a bootstrap of whole groups. The difference to the best is paired: the same
    resamples of groups for both; with several seeds it is that of their predictions in one pool.
    Raises ValueError for an unknown metric.
    """
    pools = {name: pool_seeds(members, read=read) for name, members in runs.groupby("configuration", sort=False)}
    settings = _differing(runs)
    results = {name: estimate(list(pool.values()), metric=metric) for name, pool in pools.items()}
    values = pd.Series({name: result.value for name, result in results.items()})
    order = values.sort_values(ascending=metric in LESS_IS_BETTER, kind="stable").index.tolist()  # nan comes last
    rows = []
    for name in tqdm(order, desc="compare", leave=False):
        members = runs[runs["configuration"] == name]
        best, this = (join_seeds(pools[key]) for key in (order[0], name))
        rows.append(
            Row(
                run={str(key): value for key, value in members.iloc[0].items()},
                settings=settings[name],
                result=results[name],
                difference=None if name == order[0] else paired_differences(best, this, metrics=[metric])[metric],
                mcnemar=None if name == order[0] or len(members) > 1 else mcnemar(best, this),
                train_seconds=_mean(members, "train_seconds"),
                images_per_second=_mean(members, "evaluate_images_per_second"),
            )
        )
    first = pools[order[0]]
    return Ranking(
        metric=metric,
        interval=f"t over {len(first)} seeds" if len(first) >= SEEDS else "bootstrap of groups",
        parts=describe_parts(runs[runs["configuration"] == order[0]]),
        splits=runs["part"].nunique(),
        images=len(next(iter(first.values())).ids),
        rows=rows,
    )


def pool_seeds(runs: pd.DataFrame, *, read: Callable[[str], Predictions]) -> dict[str, Predictions]:
    """Return the predictions of each seed, those of its folds together, by seed and id."""
    return {
        seed: _concatenate([read(run_id) for run_id in runs.loc[runs["seed"] == seed, "run_id"]])
        for seed in sorted(set(runs["seed"]), key=int)
    }


def join_seeds(pools: Mapping[str, Predictions]) -> Predictions:
    """Return the predictions of all seeds; a group is the same group in each of them."""
    return _concatenate([pool._replace(ids=[f"{seed}/{name}" for name in pool.ids]) for seed, pool in pools.items()])


def _concatenate(pieces: Sequence[Predictions]) -> Predictions:
    """Return the predictions of all ``pieces`` in the order of their ids. Raises ValueError for other classes."""
    if len({tuple(piece.classes) for piece in pieces}) > 1:
        raise ValueError("the runs of one configuration know other classes: name runs that belong together with --run")
    ids = np.concatenate([piece.ids for piece in pieces])
    order = np.argsort(ids, kind="stable")
    groups = np.concatenate([piece.groups for piece in pieces])
    return Predictions(
        ids=ids[order].tolist(),
        groups=groups[order].tolist(),
        truth=np.concatenate([piece.truth for piece in pieces])[order],
        probabilities=np.concatenate([piece.probabilities for piece in pieces])[order],
        classes=pieces[0].classes,
    )


def estimate(pools: Sequence[Predictions], *, metric: str) -> Interval:
    """Return the mean over ``pools``, one for each seed, and its interval."""
    values = [_score(pool, metric=metric, weights=np.ones((1, len(pool.ids))))[0] for pool in pools]
    if len(pools) >= SEEDS:
        least, most = RANGES.get(metric, (0.0, 1.0))
        return mean_interval(values, least=least, most=most)
    ends = np.cumsum([len(pool.ids) for pool in pools])[:-1]

    def statistic(weights: NDArray[np.float64]) -> pd.DataFrame:
        shares = np.split(weights, ends, axis=1)
        scores = [_score(pool, metric=metric, weights=share) for pool, share in zip(pools, shares, strict=True)]
        return pd.DataFrame({metric: np.mean(scores, axis=0)})

    value = float(np.mean(values))
    resampled = bootstrap(statistic, groups=[group for pool in pools for group in pool.groups])
    drawn = percentile_ends(resampled, inflated={metric: value} if metric in INFLATED else None)[metric]
    return Interval(value, float(drawn["low"]), float(drawn["high"]))


def _score(pool: Predictions, *, metric: str, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    table = measure(pool.truth, pool.probabilities, classes=pool.classes, weights=weights)
    if metric not in table:
        raise ValueError(f"no metric {metric!r}; there are {', '.join(map(str, table.columns))}")
    return table[metric].to_numpy()


def _differing(runs: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return for each configuration the parameters that tell it from others: those of its model, and the rest.

    That a parameter was not recorded tells apart what would else be the same, and nothing besides.
    """
    rows = runs.drop_duplicates("configuration").set_index("configuration")[configuration_columns(runs)]
    settings = {}
    for name, row in rows.iterrows():
        alike = rows[rows["model"] == row["model"]]
        settings[str(name)] = {
            key: row[key] if isinstance(row[key], str) else UNKNOWN
            for key in rows.columns[2:]
            if alike[key].nunique(dropna=False) > 1 or (not key.startswith("model.") and rows[key].nunique() > 1)
        }
    return settings


def _mean(runs: pd.DataFrame, column: str) -> float:
    return float(runs[column].mean()) if column in runs else float("nan")
