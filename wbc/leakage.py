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

    ``runs`` has the latest first, with parameters and metrics as columns (wbc.tracking.read_runs); the latest of each
    strategy and seed counts, of those without folds and on fold 0, which of five is the same split, that were made and
    trained like the latest leaky one. The last columns are mean differences of the same seed: to ``grouped``, and of
    ``leaky`` to ``random``, which is tested on the same images. Raises ValueError where a strategy has fewer than two
    seeds, or other seeds than ``grouped``.
    """
    unfolded = (runs["split.folds"] == "null") | (runs["split.fold"] == "0")
    chosen = runs[(runs["model"] == model) & unfolded]
    settings = [name for name in runs.columns if name.startswith(("augment.", "model.", "train."))]
    latest = chosen.loc[chosen["split.strategy"] == "leaky", settings].head(1).fillna("")
    chosen = chosen[chosen[settings].fillna("").isin(latest.to_dict("list")).all(axis=1)]
    chosen = chosen.drop_duplicates(["split.strategy", "seed"]).set_index("seed").sort_index()
    members = {strategy: chosen[chosen["split.strategy"] == strategy] for strategy in STRATEGIES}
    baseline = members["grouped"]["test_accuracy"]
    rows = []
    for strategy, protocol in STRATEGIES.items():
        accuracy = members[strategy]["test_accuracy"]
        if len(accuracy) < 2 or not accuracy.index.equals(baseline.index):
            seeds = ", ".join(map(str, accuracy.index)) or "none"
            raise ValueError(f"{model} has runs with split.strategy {strategy} of these seeds: {seeds}; `make leakage`")
        means = [_describe(members[strategy][name], form="{:.3f}", least=0, most=1) for name in METRICS.values()]
        others = {"grouped": strategy != "grouped", "random": strategy == "leaky"}
        points = [
            _describe(100 * (accuracy - members[other]["test_accuracy"]), form="{:+.1f}", least=-100, most=100)
            if compared
            else "-"
            for other, compared in others.items()
        ]
        rows.append([f"`{strategy}`: {protocol}", str(len(accuracy)), *means, *points])
    header = ["split", "seeds", *METRICS, "points of accuracy above `grouped`", "above `random`, same test images"]
    return render_table(header, rows)


def _describe(values: pd.Series, *, form: str, least: float, most: float) -> str:
    """Return the mean of ``values``, none beyond ``least`` or ``most``, and its interval, each number in ``form``."""
    interval = mean_interval(values.dropna().tolist(), least=least, most=most)
    value, low, high = (form.format(number) for number in interval)
    return f"{value} ({low} to {high})"
