import numpy as np
import pandas as pd
import pytest

from benchmarks.balance import BASELINE, METRICS, Embedder, classify, tabulate_balance


def scores() -> pd.DataFrame:
    """Return two seeds of the baseline and of an arm that is better by 0.35 and 0.37, in another order of seeds."""
    rows = [(BASELINE, 1, 0.6), (BASELINE, 2, 0.62), ("smote, pixels", 2, 0.99), ("smote, pixels", 1, 0.95)]
    return pd.DataFrame([{"arm": arm, "seed": seed} | dict.fromkeys(METRICS, value) for arm, seed, value in rows])


def test_each_arm_has_its_mean_and_its_difference_seed_by_seed() -> None:
    baseline, smote = tabulate_balance(scores()).splitlines()[2:]
    # t(1) = 12.706; standard errors 0.01, 0.02 and, of the differences 0.35 and 0.37, 0.01; no share is above 1.
    assert baseline == f"| `{BASELINE}` |" + " 0.610 (0.483 to 0.737) |" * 4 + " - | - |"
    assert smote == "| `smote, pixels` |" + " 0.970 (0.716 to 1.000) |" * 4 + " +0.360 (+0.233 to +0.487) |" * 2


class Network:
    """Describes an image by its mean, and counts the images that it was shown."""

    shown = 0

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        self.shown += len(images)
        return images.mean(axis=(1, 2, 3), dtype=np.float32)[:, None]


def test_an_image_is_described_once_however_often_it_comes() -> None:
    network = Network()
    embedder = Embedder(network)  # type: ignore[arg-type]
    images = np.arange(5, dtype=np.uint8).repeat(12).reshape(5, 2, 2, 3)
    assert embedder.embed(images[[0, 1, 0, 2]]).ravel().tolist() == [0, 1, 0, 2]
    assert embedder.embed(images[[2, 3, 1]]).ravel().tolist() == [2, 3, 1]
    assert network.shown == 4


@pytest.mark.parametrize("class_weights", [False, True])
def test_class_weights_find_more_of_a_rare_class(class_weights: bool) -> None:
    random = np.random.default_rng(0)

    def draw(common: int, rare: int) -> tuple[np.ndarray, pd.Series]:
        features = np.concatenate([random.normal(0, 1, (common, 4)), random.normal(1, 1, (rare, 4))])
        return features.astype(np.float32), pd.Series(["COMMON"] * common + ["RARE"] * rare)

    features, labels = draw(400, 20)
    test, _ = draw(0, 200)
    probabilities = classify(
        features,
        labels,
        validation=draw(200, 10),
        test=test,
        classes=["COMMON", "RARE"],
        class_weights=class_weights,
    )
    assert probabilities.shape == (200, 2)
    assert (probabilities.argmax(axis=1).mean() > 0.6) == class_weights
