import pandas as pd

from upkeep.models import tabulate_models


def runs() -> pd.DataFrame:
    """Return three runs of two models, the latest first."""
    figures = {
        "trainable_parameters": [1234567.0, 2052.0, 2052.0],
        "validation_accuracy": [0.8, 0.7, 0.9],
        "test_accuracy": [0.75, 0.6, 0.95],
        "test_balanced_accuracy": [0.5, 0.4, 0.95],
        "test_macro_f1": [0.55, 0.61111, 0.95],
        "test_auroc": [0.9, 0.8, 0.99],
    }
    names = {
        "model": ["lite", "vgg16", "vgg16"],
        "weights_requested": ["imagenet", "auto", "auto"],
        "weights_used": ["imagenet", "random", "imagenet"],
    }
    return pd.DataFrame(names | figures | {"run_id": ["c", "b", "a"]})


def read_values(run_id: str, metric: str) -> list[float]:
    """Return what was recorded of the speed of a run, each time that it was made."""
    recorded = {
        ("c", "train_seconds"): [99.6, 250.0],
        ("c", "evaluate_images_per_second"): [100.4, 30.0],
        ("b", "train_seconds"): [60.2],
    }
    return recorded.get((run_id, metric), [])


def test_the_latest_run_of_each_model_is_a_row_at_its_fastest_and_the_best_macro_f1_comes_first() -> None:
    assert tabulate_models(runs(), read_values=read_values).splitlines()[2:] == [
        "| `vgg16` | **random**, no ImageNet | 2,052 | 60 | nan | 0.700 | 0.600 | 0.400 | 0.611 | 0.800 |",
        "| `lite` | imagenet | 1,234,567 | 100 | 100 | 0.800 | 0.750 | 0.500 | 0.550 | 0.900 |",
    ]


def test_a_figure_that_no_run_has_is_nan() -> None:
    [first, _] = tabulate_models(runs().drop(columns=["test_auroc"]), read_values=read_values).splitlines()[2:]
    assert first == "| `vgg16` | **random**, no ImageNet | 2,052 | 60 | nan | 0.700 | 0.600 | 0.400 | 0.611 | nan |"
