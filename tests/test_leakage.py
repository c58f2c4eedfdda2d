import pandas as pd
import pytest

from wbc.leakage import tabulate_leakage


def runs() -> pd.DataFrame:
    """Return two seeds of each strategy, the latest first, and runs that do not count: older, of another kind."""
    accuracies = {"leaky": (0.9, 0.8), "random": (0.7, 0.8), "grouped": (0.6, 0.7), "blocks": (0.5, 0.6)}
    rows = [
        {"model": "tiny", "split.strategy": strategy, "seed": str(seed), "test_accuracy": accuracy}
        for strategy, pair in accuracies.items()
        for seed, accuracy in enumerate(pair)
    ]
    rows.append({"model": "tiny", "split.strategy": "leaky", "seed": "1", "test_accuracy": 0.1})
    rows.append({"model": "other", "split.strategy": "leaky", "seed": "2", "test_accuracy": 0.1})
    table = pd.DataFrame(rows).assign(**{"split.folds": "null", "split.fold": "0"})
    other_fold = table.iloc[:1].assign(test_accuracy=0.1, **{"split.folds": "5", "split.fold": "3"})
    table = table.assign(**{"model.input": "[96, 96]"})
    otherwise = table[table["split.strategy"] == "grouped"].assign(test_accuracy=0.1, **{"model.input": "[160, 160]"})
    table = pd.concat([other_fold, otherwise, table], ignore_index=True)
    for name in ("test_balanced_accuracy", "test_macro_f1", "test_per_class.MONOCYTE.sensitivity"):
        table[name] = table["test_accuracy"]
    return table


def test_each_strategy_has_its_mean_interval_and_points_above_grouped() -> None:
    leaky, random, grouped, blocks = tabulate_leakage(runs(), model="tiny").splitlines()[2:]
    # Of two values 0.1 apart: t(1) = 12.706, standard error 0.05.
    assert leaky.startswith("| `leaky`: views of every image drawn first, then split | 2 | 0.850 (0.215 to 1.000) |")
    # Differences of 30 and 10 points: standard error 10.
    assert leaky.endswith("| +20.0 (-100.0 to +100.0) | +10.0 (-100.0 to +100.0) |")
    assert random.endswith("| +10.0 (+10.0 to +10.0) | - |")
    assert grouped.endswith("| - | - |")
    assert blocks.endswith("| -10.0 (-10.0 to -10.0) | - |")


def test_too_few_seeds_name_the_command() -> None:
    with pytest.raises(
        ValueError, match=r"tiny has runs with split\.strategy blocks of these seeds: 0; `make leakage`"
    ):
        tabulate_leakage(
            runs()[lambda table: (table["split.strategy"] != "blocks") | (table["seed"] == "0")], model="tiny"
        )
