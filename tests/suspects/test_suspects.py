import numpy as np
import pandas as pd

from wbc.suspects.suspects import choose_judged, out_of_fold_probabilities, rank_suspects


def labelled(*, wrong: list[int]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return sixty images of two classes that their features tell apart, some with the wrong label."""
    truth = np.arange(60) % 2
    features = np.random.default_rng(0).normal(size=(60, 8)) + 3 * truth[:, None]
    labels = np.array(["A", "B"])[[1 - value if row in wrong else value for row, value in enumerate(truth)]]
    identifiers = [f"i{row:02d}" for row in range(60)]
    return pd.DataFrame({"id": identifiers, "label": labels, "group": identifiers}), features


def judge(manifest: pd.DataFrame, features: np.ndarray) -> pd.DataFrame:
    probabilities = out_of_fold_probabilities(features, labels=manifest["label"], groups=manifest["group"], seed=1)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    return rank_suspects(manifest, probabilities)


def test_wrong_labels_are_ranked_first_with_what_they_look_like() -> None:
    suspects = judge(*labelled(wrong=[7, 20]))
    assert set(suspects["id"][:2]) == {"i07", "i20"}
    assert suspects.set_index("id")["looks_like"][["i07", "i20"]].tolist() == ["B", "A"]
    assert (suspects["margin"].diff().dropna() >= 0).all()


def test_an_image_is_judged_by_models_that_saw_none_of_its_group() -> None:
    manifest, features = labelled(wrong=[])
    features[:] = 0
    features[:4, 0] = 100  # what only this group shows, and whose labels its models cannot know
    manifest.loc[:3, "group"] = "together"
    manifest.loc[:3, "label"] = "B"
    probabilities = out_of_fold_probabilities(features, labels=manifest["label"], groups=manifest["group"], seed=1)
    assert probabilities.loc[:3, "B"].max() < 0.6


def test_only_classes_of_enough_groups_are_judged() -> None:
    manifest, _ = labelled(wrong=[])
    manifest.loc[:3, "label"] = "C"
    assert sorted(choose_judged(manifest)["label"].unique()) == ["A", "B"]
    assert choose_judged(manifest[manifest["label"] != "A"]).empty
