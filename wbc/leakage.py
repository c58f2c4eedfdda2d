"""The table of docs/leakage.md: what the protocol of a split alone is worth, as MLflow recorded it."""

import pandas as pd

from wbc.intervals import mean_interval
from wbc.markdown import render_table

METRICS = {
    "accuracy": "test_accuracy",
    "balanced accuracy": "test_balanced_accuracy",
    "macro F1": "test_macro_f1",
    "MONOCYTE sensitivity": "test_per_class.MONOCYTE.sensitivity",
}
STRATEGIES = {
    "leaky": "views of every image drawn first, then split",
    "random": "split first, twins on both sides",
    "grouped": "split first, twins together",
    "blocks": "runs of file order, twins together",
}


def tabulate_leakage(runs: pd.DataFrame, *, model: str) -> str:
    """Return a Markdown table of the mean over seeds of each METRICS, with 95 % t-intervals, a row for each STRATEGIES.

    ``runs`` has the latest first, with parameters and metrics as columns (wbc.tracking.read_runs); the latest run of
    each strategy and seed counts. Raises ValueError where a strategy has fewer than two seeds.
    """
    chosen = runs[runs["model"] == model].drop_duplicates(["split.strategy", "seed"])
    baseline = chosen.loc[chosen["split.strategy"] == "grouped", "test_accuracy"].mean()
    rows = []
    for strategy, protocol in STRATEGIES.items():
        members = chosen[chosen["split.strategy"] == strategy]
        if len(members) < 2:
            raise ValueError(f"{model} has {len(members)} runs with split.strategy {strategy}: run `make leakage`")
        points = 100 * (members["test_accuracy"].mean() - baseline)
        means = [_mean(members[name]) for name in METRICS.values()]
        rows.append([f"`{strategy}`: {protocol}", str(len(members)), *means, f"{points:+.1f}"])
    return render_table(["split", "seeds", *METRICS, "points of accuracy above `grouped`"], rows)


def _mean(values: pd.Series) -> str:
    mean = mean_interval(values.dropna().tolist())
    return f"{mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})"
