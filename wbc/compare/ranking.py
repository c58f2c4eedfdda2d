"""Ranks models that were tested on the same images: how good each is, and how sure the order is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from wbc.compare.comparable import UNKNOWN, configuration_columns, describe_parts
from wbc.compare.comparison import Difference, Predictions, answered, check_same_images, mcnemar, seed_differences
from wbc.scores.intervals import Interval
from wbc.scores.uncertainty import CALIBRATION, interval_ends, values


class Row(NamedTuple):
    """One configuration in a ranking."""

    run: dict[str, Any]  # parameters, metrics and tags of its latest
    names: list[str]  # of its runs or experiments, the latest first
    settings: dict[str, str]  # those of its parameters that tell it from the others
    result: Interval
    spread: float  # standard deviation over the seeds, nan for one
    difference: Difference | None  # to the best; None for the best itself
    mcnemar: float | None  # p-value against the best, where there is one split only
    train_seconds: float  # mean over the runs
    images_per_second: float  # mean over the runs
    code: list[str]  # files of the train stage that differ between its runs
    other_code: list[str]  # those that are others in its latest run than in the best row's


class Ranking(NamedTuple):
    """Configurations that were tested on the same images, the best first."""

    metric: str
    parts: str  # which test parts
    splits: int  # how many
    images: int  # of one seed
    rows: list[Row]


def rank(runs: pd.DataFrame, *, metric: str, read: Callable[[str], Predictions], code: Sequence[str] = ()) -> Ranking:
    """Return the configurations of ``runs`` (Choice.runs), the best ``metric`` of wbc.scores.measures.measure first.

    ``read`` returns the predictions of a ``run_id``. The metric is the mean over seeds of that of a seed's folds
    together (wbc.scores.uncertainty.mean_measures), with the 95 % interval of `estimate`. The difference to the best is
    that of the two means, paired: on the same resamples of groups for both. ``code`` are the files of the train stage;
    which of them differ between the runs of a row, and from the best row, by the columns ``dep.<file>``, is in the row.
    Raises ValueError for an unknown metric, and for runs of one place that were not tested on the same images.
    """
    pools = {name: pool_seeds(members, read=read) for name, members in runs.groupby("configuration", sort=False)}
    settings = _differing(runs)
    results = {name: estimate(list(pool.values()), metric=metric) for name, pool in pools.items()}
    means = pd.Series({name: result.value for name, result in results.items()})
    order = means.sort_values(ascending=metric in CALIBRATION, kind="stable").index.tolist()  # nan comes last
    first = pools[order[0]]
    latest = runs.drop_duplicates("configuration").set_index("configuration")
    rows = []
    for name in tqdm(order, desc="compare", leave=False):
        members = runs[runs["configuration"] == name]
        rows.append(
            Row(
                run={str(key): value for key, value in members.iloc[0].items()},
                names=members["mlflow.runName"].tolist(),
                settings=settings[name],
                result=results[name],
                spread=spread(list(pools[name].values()), metric=metric),
                difference=None if name == order[0] else differ(first, pools[name], metric=metric),
                mcnemar=None if name == order[0] or len(members) > 1 else _mcnemar(first, pools[name]),
                train_seconds=_mean(members, "train_seconds"),
                images_per_second=_mean(members, "evaluate_images_per_second"),
                code=_changed_code(members, code),
                other_code=_changed_code(pd.concat([latest.loc[[order[0]]], latest.loc[[name]]]), code),
            )
        )
    return Ranking(
        metric=metric,
        parts=describe_parts(runs[runs["configuration"] == order[0]]),
        splits=runs["part"].nunique(),
        images=sum(len(fold.ids) for fold in next(iter(first.values()))),
        rows=rows,
    )


def pool_seeds(runs: pd.DataFrame, *, read: Callable[[str], Predictions]) -> dict[str, list[Predictions]]:
    """Return the predictions of each fold by seed, in the order of their ids. Raises ValueError for other classes."""
    pools = {
        seed: sorted((read(run_id) for run_id in runs.loc[runs["seed"] == seed, "run_id"]), key=lambda fold: fold.ids)
        for seed in sorted(set(runs["seed"]), key=int)
    }
    if len({tuple(fold.classes) for folds in pools.values() for fold in folds}) > 1:
        raise ValueError("the runs of one configuration know other classes: name runs that belong together with --run")
    return pools


def estimate(seeds: Sequence[Sequence[Predictions]], *, metric: str) -> Interval:
    """Return the mean over ``seeds``, each its folds, of ``metric`` and its 95 % interval.

    The interval is that of wbc.scores.uncertainty.interval_ends: what other photographs would change. One over the
    values of the seeds would shrink with their number, though they share their photographs (benchmarks/coverage.py).
    Raises ValueError for an unknown metric.
    """
    models = [[answered(fold) for fold in folds] for folds in seeds]
    classes = seeds[0][0].classes
    mean = _known(values(models, classes=classes), metric)
    ends = interval_ends(models, classes=classes, metrics=[metric])[metric]
    return Interval(mean, float(ends["low"]), float(ends["high"]))


def spread(seeds: Sequence[Sequence[Predictions]], *, metric: str) -> float:
    """Return the standard deviation of ``metric`` over ``seeds``, nan for one: what folds and draws change."""
    each = [_known(values([list(map(answered, folds))], classes=folds[0].classes), metric) for folds in seeds]
    return float(np.std(each, ddof=1)) if len(each) > 1 else float("nan")


def differ(
    first: Mapping[str, Sequence[Predictions]], second: Mapping[str, Sequence[Predictions]], *, metric: str
) -> Difference:
    """Return by how much the mean over seeds of ``second`` is above that of ``first``; both hold folds by seed.

    Raises ValueError unless both are of the same seeds, images, groups and classes.
    """
    for folds, others in zip(first.values(), second.values(), strict=True):
        for fold, other in zip(folds, others, strict=True):
            check_same_images(fold, other)
    one, two = ([[answered(fold) for fold in folds] for folds in pools.values()] for pools in (first, second))
    classes = next(iter(first.values()))[0].classes
    return seed_differences(one, two, classes=classes, metrics=[metric])[metric]


def _mcnemar(first: Mapping[str, Sequence[Predictions]], second: Mapping[str, Sequence[Predictions]]) -> float:
    """Return McNemar's p-value of two configurations with one run each."""
    ([one],), ([other],) = first.values(), second.values()
    return mcnemar(one, other)


def _known(table: pd.Series, metric: str) -> float:
    if metric not in table:
        raise ValueError(f"no metric {metric!r}; there are {', '.join(map(str, table.index))}")
    return float(table[metric])


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


def _changed_code(runs: pd.DataFrame, code: Sequence[str]) -> list[str]:
    """Return those files of ``code`` that differ between ``runs``, or that some of them have not had."""
    return [path for path in code if f"dep.{path}" in runs and runs[f"dep.{path}"].nunique(dropna=False) > 1]


def _mean(runs: pd.DataFrame, column: str) -> float:
    return float(runs[column].mean()) if column in runs else float("nan")
