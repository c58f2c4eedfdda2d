import re

import numpy as np
import pandas as pd
import pytest

from upkeep.leakage import tabulate_leakage
from wbc.compare.comparison import Predictions


def runs() -> pd.DataFrame:
    """Return two seeds of each strategy, the latest first, and runs that do not count: older, of another kind."""
    hits = {"leaky": (36, 32), "random": (28, 32), "grouped": (24, 28), "blocks": (20, 24)}
    rows = [
        {"model": "tiny", "split.strategy": strategy, "seed": str(seed), "run_id": str(right)}
        for strategy, pair in hits.items()
        for seed, right in enumerate(pair)
    ]
    rows.append({"model": "tiny", "split.strategy": "leaky", "seed": "1", "run_id": "4"})
    rows.append({"model": "other", "split.strategy": "leaky", "seed": "2", "run_id": "4"})
    table = pd.DataFrame(rows).assign(**{"split.folds": "null", "split.fold": "0"})
    other_fold = table.iloc[:1].assign(run_id="4", **{"split.folds": "5", "split.fold": "3"})
    table = table.assign(**{"model.input": "[96, 96]"})
    otherwise = table[table["split.strategy"] == "grouped"].assign(run_id="4", **{"model.input": "[160, 160]"})
    return pd.concat([other_fold, otherwise, table], ignore_index=True)


def read(run_id: str) -> Predictions:
    """Return predictions of 40 images, the same in each run, of which the first ``run_id`` are right."""
    truth = np.arange(40) % 2
    chances = np.eye(2)[np.where(np.arange(40) < int(run_id), truth, 1 - truth)]
    ids = list(map(str, range(40)))
    return Predictions(ids, ids, truth, chances, ["MONOCYTE", "NEUTROPHIL"])


def test_each_strategy_has_its_mean_interval_and_points_above_grouped() -> None:
    leaky, random, grouped, blocks = tabulate_leakage(runs(), model="tiny", read=read).splitlines()[2:]
    # 0.9 and 0.8 of the same 40 images: Wilson's interval of 34 of 40, whatever the number of seeds.
    assert leaky.startswith("| `leaky`: views of every image drawn first, then split | 2 | 0.850 (0.709 to 0.929) |")
    assert " | 0.071 | +20.0 (" in leaky  # standard deviation of 0.9 and 0.8
    # To grouped it gains images 24 to 35 and 28 to 31, to random 28 to 35: the mean of both seeds, by groups.
    value, low, high = map(float, re.findall(r"[+-]\d+\.\d", leaky)[3:])
    assert value == 10.0
    assert 2 < low < 7
    assert 13 < high < 19
    assert " | +10.0 (" in random
    assert random.endswith(") | - |")
    assert grouped.endswith("| - | - |")
    assert " | -10.0 (" in blocks


def test_too_few_seeds_name_the_command() -> None:
    with pytest.raises(
        ValueError, match=r"tiny has runs with split\.strategy blocks of these seeds: 0; `make leakage`"
    ):
        tabulate_leakage(
            runs()[lambda table: (table["split.strategy"] != "blocks") | (table["seed"] == "0")],
            model="tiny",
            read=read,
        )
