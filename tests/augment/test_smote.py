from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE, SVMSMOTE, BorderlineSMOTE

from wbc.augment.smote import Blend, blend, plan_smote, principal_components

COUNTS = {"NEUTROPHIL": 30, "EOSINOPHIL": 17, "LYMPHOCYTE": 9, "MONOCYTE": 6}


def noise(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images of noise and their labels, mixed."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(list(COUNTS), list(COUNTS.values())))
    return random.integers(0, 256, (len(labels), 8, 6, 3), dtype=np.uint8), labels


@pytest.mark.parametrize("seed", [0, 1, 12345])
@pytest.mark.parametrize(
    ("targets", "neighbours"),
    [
        (dict.fromkeys(COUNTS, 30), 5),
        ({"LYMPHOCYTE": 25, "EOSINOPHIL": 18}, 3),
        ({"MONOCYTE": 50, "NEUTROPHIL": 40}, 1),
    ],
)
def test_the_same_bits_as_imbalanced_learn(seed: int, targets: dict[str, int], neighbours: int) -> None:
    images, labels = noise(seed)
    sampler = SMOTE(sampling_strategy=targets, k_neighbors=neighbours, random_state=seed)
    pixels, classes = sampler.fit_resample(images.reshape(len(images), -1).astype(np.float32), labels)

    plan = plan_smote(images, labels, targets=targets, neighbours=neighbours, seed=seed)
    blended = np.array(list(blend(images, plan)))
    assert blended.dtype == np.float32
    assert np.array_equal(blended.reshape(len(blended), -1), pixels[len(images) :])
    assert [synthetic.label for synthetic in plan] == classes[len(images) :].tolist()
    assert all(labels[[first, second]].tolist() == [name, name] for name, first, second, _ in plan)


def test_borderline_smote_is_that_of_imbalanced_learn() -> None:
    images, labels = noise(0)
    targets = dict.fromkeys(COUNTS, 30)
    sampler = BorderlineSMOTE(sampling_strategy=targets, k_neighbors=5, random_state=0)
    pixels, _ = sampler.fit_resample(images.reshape(len(images), -1).astype(np.float32), labels)
    plan = plan_smote(images, labels, targets=targets, neighbours=5, seed=0, variant="borderline_smote")
    assert len(plan) > 20
    assert np.array_equal(np.array(list(blend(images, plan))).reshape(len(plan), -1), pixels[len(images) :])


@pytest.mark.parametrize(("variant", "sampler"), [("smote", SMOTE), ("svm_smote", SVMSMOTE)])
def test_in_the_space_of_components_the_plan_is_that_of_imbalanced_learn_there(variant: str, sampler: type) -> None:
    images, labels = noise(1)
    targets = dict.fromkeys(COUNTS, 30)
    points = principal_components(images)
    made, _ = sampler(sampling_strategy=targets, k_neighbors=5, random_state=1).fit_resample(points, labels)
    plan = plan_smote(images, labels, targets=targets, neighbours=5, seed=1, variant=variant, space="pca")
    expected = [points[first] + step * (points[second] - points[first]) for _, first, second, step in plan]
    assert len(plan) > 30
    np.testing.assert_allclose(expected, made[len(points) :], rtol=1e-4, atol=1e-3)


def test_components_tell_images_apart_as_their_pixels_do() -> None:
    images = np.repeat(np.arange(0, 250, 10, dtype=np.uint8), 64 * 64 * 3).reshape(-1, 64, 64, 3)
    points = principal_components(images)
    assert points.shape == (25, 25)
    steps = np.diff(points[:, 0])
    np.testing.assert_allclose(np.abs(steps), 10 * np.sqrt(32 * 32 * 3), rtol=1e-3)


@pytest.mark.parametrize(
    ("variant", "space"),
    [
        ("smote", "pixels"),
        ("smote", "pca"),
        ("borderline_smote", "pixels"),
        ("borderline_smote", "pca"),
        ("svm_smote", "pca"),
    ],
)
@settings(max_examples=8)
@given(
    counts=st.lists(st.tuples(st.integers(1, 14), st.integers(0, 12)), min_size=2, max_size=4),
    neighbours=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_counts_are_brought_to_any_targets(variant, space, counts, neighbours, seed) -> None:
    present = dict(zip("ABCD", (count for count, _ in counts), strict=False))
    targets = dict(zip("ABCD", (count + more for count, more in counts), strict=False))
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(list(present), list(present.values())))
    images = random.integers(0, 256, (len(labels), 8, 6, 3), dtype=np.uint8)

    def plan() -> list[Blend]:
        return plan_smote(
            images, labels, targets=targets, neighbours=neighbours, seed=seed, variant=variant, space=space
        )

    scarce = [f"{name} has {count}" for name, count in present.items() if count < targets[name] and count <= neighbours]
    missing = {name: targets[name] - present[name] for name in present if targets[name] > present[name]}
    try:
        blends = plan()
    except ValueError as error:
        event("refused")
        reason = str(error)
        if scarce:
            assert f"images of a class, but {', '.join(scarce)}.\nSet augment." in reason
        elif len(labels) < 11:
            assert variant != "smote"
            assert f"needs 11 images, but there are {len(labels)}.\nSet augment.balance to smote" in reason
        else:
            assert variant == "svm_smote"
            assert "All support vectors are considered as noise" in reason
        return
    assert not scarce
    made = Counter(blend.label for blend in blends)
    if variant == "smote":
        assert made == missing
    else:
        assert all(made[name] <= missing.get(name, 0) for name in made)
    assert all(labels[[first, second]].tolist() == [name, name] for name, first, second, _ in blends)
    assert plan() == blends


def test_a_file_that_is_memory_mapped(tmp_path: Path) -> None:
    images, labels = noise(0)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    expected = plan_smote(images, labels, targets={"MONOCYTE": 20}, neighbours=5, seed=0)
    plan = plan_smote(mapped, labels, targets={"MONOCYTE": 20}, neighbours=5, seed=0)
    assert plan == expected
    assert np.array_equal(list(blend(mapped, plan)), list(blend(images, expected)))


def test_nothing_to_do() -> None:
    images, labels = noise(0)
    assert plan_smote(images, labels, targets={"MONOCYTE": 6, "NEUTROPHIL": 30}, neighbours=9, seed=0) == []


@pytest.mark.parametrize(("variant", "space"), [("borderline_smote", "pixels"), ("svm_smote", "pca")])
def test_a_borderline_needs_eleven_images(variant: str, space: str) -> None:
    images, labels = np.zeros((10, 8, 6, 3), np.uint8), np.repeat(["A", "B"], [7, 3])
    with pytest.raises(
        ValueError, match=rf"^{variant} looks at 10 neighbours .* needs 11 images, but there are 10\.\nSet"
    ):
        plan_smote(images, labels, targets={"B": 7}, neighbours=1, seed=0, variant=variant, space=space)
    assert plan_smote(images, labels, targets={"B": 3}, neighbours=1, seed=0, variant=variant, space=space) == []


class Untouchable(np.ndarray):
    """Images that nobody may look at."""

    def __getitem__(self, key: object) -> None:
        raise AssertionError("computed before the check")


def test_a_class_too_small_is_named_before_anything_is_computed() -> None:
    images, labels = noise(0)
    with pytest.raises(ValueError) as caught:
        plan_smote(images.view(Untouchable), labels, targets=dict.fromkeys(COUNTS, 30), neighbours=9, seed=0)
    assert str(caught.value).splitlines() == [
        "SMOTE with 9 neighbours needs 10 images of a class, but LYMPHOCYTE has 9, MONOCYTE has 6.",
        "Set augment.neighbours to at most 5, augment.balance to repeat, "
        "or have more views drawn first, by augment.copies and augment.order.",
    ]
    labels[labels == "MONOCYTE"] = "NEUTROPHIL"
    labels[0] = "MONOCYTE"
    with pytest.raises(ValueError, match=r"MONOCYTE has 1\.\nSet augment\.balance to repeat, or have more"):
        plan_smote(images, labels, targets={"MONOCYTE": 30}, neighbours=5, seed=0)


def test_the_check_is_all_that_stands_before_the_computation() -> None:
    images, labels = noise(0)
    with pytest.raises(AssertionError):
        plan_smote(images.view(Untouchable), labels, targets={"MONOCYTE": 30}, neighbours=5, seed=0)
