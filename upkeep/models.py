"""The table of docs/models.md: `python -m upkeep.models`, every model of the same images."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from upkeep.recorded import write_table
from wbc.commands.quiet import be_quiet
from wbc.compare.ranking_report import name_weights
from wbc.tools.markdown import render_table

COLUMNS = {
    "model": "`{model}`",
    "weights": "{weights}",
    "trainable parameters": "{trainable_parameters:,.0f}",
    "train stage, s": "{train_seconds:.0f}",
    "inference, images/s": "{evaluate_images_per_second:.0f}",
    "validation accuracy": "{validation_accuracy:.3f}",
    "test accuracy": "{test_accuracy:.3f}",
    "balanced accuracy": "{test_balanced_accuracy:.3f}",
    "macro F1": "{test_macro_f1:.3f}",
    "AUROC": "{test_auroc:.3f}",
}

_SPEEDS: dict[str, Callable[..., float]] = {"train_seconds": min, "evaluate_images_per_second": max}


def tabulate_models(runs: pd.DataFrame, *, read_values: Callable[[str, str], Sequence[float]]) -> str:
    """Return the latest run of each model as a Markdown table, the best test macro F1 first.

    ``runs`` has the latest first, with parameters, metrics, tags and run_id as columns (wbc.tracking.runs.read_runs).
    ``read_values`` returns what was recorded of a metric each time that a run was made anew: of these the fastest
    counts, for other work on the machine can only slow it. A figure that was not recorded is nan.
    """
    latest = runs.drop_duplicates("model").sort_values("test_macro_f1", ascending=False, kind="stable")
    for metric, fastest in _SPEEDS.items():
        latest[metric] = [fastest(read_values(run_id, metric), default=math.nan) for run_id in latest["run_id"]]
    return render_table(list(COLUMNS), (_cells(run) for _, run in latest.iterrows()))


def _cells(run: pd.Series) -> list[str]:
    known = defaultdict(lambda: math.nan, {str(name): value for name, value in run.items()})
    known["weights"] = name_weights(known)
    return [template.format_map(known) for template in COLUMNS.values()]


def main() -> None:
    """Write the latest run of each model on the present split that MLflow has recorded."""
    be_quiet()
    from wbc.tracking.runs import read_values  # here, because mlflow must be quiet first

    files = ("data/cells.npy", "data/split.csv", "data/train.npy")
    write_table(Path("docs/models.md"), files=files, tabulate=partial(tabulate_models, read_values=read_values))


if __name__ == "__main__":
    main()
