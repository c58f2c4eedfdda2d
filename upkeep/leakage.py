"""The table of docs/leakage.md: `python -m upkeep.leakage`, what the protocol of a split alone is worth."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from upkeep.recorded import write_table
from wbc.commands.quiet import be_quiet
from wbc.compare.comparison import Difference, Predictions, answered, read_predictions, seed_differences
from wbc.compare.ranking import estimate, spread
from wbc.scores.intervals import Interval
from wbc.tools.markdown import render_table

METRICS = {
    "accuracy": "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "macro F1": "macro_f1",
    "MONOCYTE sensitivity": "per_class.MONOCYTE.sensitivity",
}
STRATEGIES = {
    "leaky": "views of every image drawn first, then split",
    "random": "split first, twins on both sides",
    "grouped": "split first, twins together",
    "blocks": "runs of file order, twins together",
}
_ENDS = ("value", "low", "high")


def tabulate_leakage(runs: pd.DataFrame, *, model: str, read: Callable[[str], Predictions]) -> str:
    """Return a Markdown table of the mean over seeds of each METRICS, with 95 % intervals, a row for each STRATEGIES.

    ``runs`` has the latest first, with parameters as columns (wbc.tracking.runs.read_runs), ``read`` returns the
    predictions of a ``run_id``. The latest of each strategy and seed counts, of those without folds and on fold 0,
    which of five is the same split, that were made and trained like the latest leaky one. Intervals are those of
    wbc.compare.ranking.estimate: a group is the same one in every seed. The last columns are differences of those
    means: to ``grouped``, and of ``leaky`` to ``random``, which is tested on the same images
    (wbc.compare.comparison.seed_differences). Raises ValueError where a strategy has fewer than two seeds, or other
    seeds than ``grouped``.
    """
    unfolded = (runs["split.folds"] == "null") | (runs["split.fold"] == "0")
    chosen = runs[(runs["model"] == model) & unfolded]
    settings = [name for name in runs.columns if name.startswith(("augment.", "model.", "train."))]
    latest = chosen.loc[chosen["split.strategy"] == "leaky", settings].head(1).fillna("")
    chosen = chosen[chosen[settings].fillna("").isin(latest.to_dict("list")).all(axis=1)]
    chosen = chosen.drop_duplicates(["split.strategy", "seed"]).set_index("seed").sort_index()
    members = {strategy: chosen[chosen["split.strategy"] == strategy] for strategy in STRATEGIES}
    for strategy, table in members.items():
        if len(table) < 2 or not table.index.equals(members["grouped"].index):
            seeds = ", ".join(map(str, table.index)) or "none"
            raise ValueError(f"{model} has runs with split.strategy {strategy} of these seeds: {seeds}; `make leakage`")
    predictions = {strategy: [[read(name)] for name in table["run_id"]] for strategy, table in members.items()}
    rows = []
    for strategy, protocol in STRATEGIES.items():
        own = predictions[strategy]
        means = [_describe(estimate(own, metric=name), form="{:.3f}") for name in METRICS.values()]
        others = {"grouped": strategy != "grouped", "random": strategy == "leaky"}
        points = [_points(predictions[other], own) if compared else "-" for other, compared in others.items()]
        deviation = f"{spread(own, metric='accuracy'):.3f}"
        rows.append([f"`{strategy}`: {protocol}", str(len(own)), *means, deviation, *points])
    above = ["points of accuracy above `grouped`", "above `random`, same test images"]
    return render_table(["split", "seeds", *METRICS, "SD of accuracy over seeds", *above], rows)


def _points(first: list[list[Predictions]], second: list[list[Predictions]]) -> str:
    """Return by how many points the accuracy of ``second`` is above that of ``first``, with its interval."""
    one, two = ([list(map(answered, folds)) for folds in seeds] for seeds in (first, second))
    difference = seed_differences(one, two, classes=first[0][0].classes, metrics=["accuracy"])["accuracy"]
    return _describe(difference._replace(**{end: 100 * getattr(difference, end) for end in _ENDS}), form="{:+.1f}")


def _describe(interval: Interval | Difference, *, form: str) -> str:
    """Return the value and its interval, each number in ``form``; "-" where it is not defined."""
    if np.isnan(interval.value):
        return "-"
    value, low, high = (form.format(getattr(interval, end)) for end in _ENDS)
    return f"{value} ({low} to {high})"


def main(model: Annotated[str, typer.Option(help="The model of the runs.")] = "efficientnet_lite0") -> None:
    """Write what each split strategy reports, over the seeds that MLflow has recorded; `make leakage` runs them all."""
    be_quiet()
    from wbc.tracking.runs import read_artifact  # here, because mlflow must be quiet first

    def read(run_id: str) -> Predictions:
        return read_predictions(read_artifact(run_id, "metrics/predictions.csv"))

    tabulate = partial(tabulate_leakage, model=model, read=read)
    write_table(Path("docs/leakage.md"), files=("data/cells.npy",), tabulate=tabulate)


if __name__ == "__main__":
    typer.run(main)
