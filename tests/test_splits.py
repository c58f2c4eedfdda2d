import itertools
import re

import pandas as pd
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from wbc.params.split import SplitParams
from wbc.splits import SplitError, split, summarise

PARTS = {"train", "validation", "test"}


def parameters(*, validation: float = 0.16, test: float = 0.2, folds: int | None = None, fold: int = 0) -> SplitParams:
    return SplitParams(validation=validation, test=test, folds=folds, fold=fold)


def manifest(**counts: int) -> pd.DataFrame:
    """Return so many images of each class, each its own group."""
    labels = [name for name, count in counts.items() for _ in range(count)]
    identifiers = [f"{number:04d}" for number in range(len(labels))]
    return pd.DataFrame({"id": identifiers, "label": labels, "group": identifiers})


@st.composite
def manifests(draw: st.DrawFn) -> pd.DataFrame:
    """Return two to four classes of 2 to 30 groups of 1 to 3 images; some groups hold images of two classes."""
    sizes = {
        name: draw(st.lists(st.integers(1, 3), min_size=2, max_size=30)) for name in "ABCD"[: draw(st.integers(2, 4))]
    }
    rows = [(f"{name}{number}", name) for name in sizes for number, size in enumerate(sizes[name]) for _ in range(size)]
    rows += [(f"A{number}", "B") for number in range(draw(st.integers(0, 2)))]
    table = pd.DataFrame(rows, columns=["group", "label"])
    return table.assign(id=[f"i{number}" for number in range(len(table))])


def attempt(images: pd.DataFrame, *, params: SplitParams, seed: int) -> pd.DataFrame | str:
    """Return the split or the reason why there is none."""
    try:
        return split(images, params=params, seed=seed)
    except SplitError as error:
        return str(error)


@settings(max_examples=60, deadline=None)
@given(
    images=manifests(),
    validation=st.floats(0.01, 0.6),
    test=st.floats(0.01, 0.39),
    folds=st.none() | st.integers(3, 6),
    seed=st.integers(0, 2**32 - 1),
    random=st.randoms(use_true_random=False),
)
def test_no_group_crosses_and_every_class_reaches_every_part(images, validation, test, folds, seed, random) -> None:
    params = parameters(validation=validation, test=test, folds=folds, fold=0)
    table = attempt(images, params=params, seed=seed)
    event("refused" if isinstance(table, str) else "split")
    if isinstance(table, str):
        assert re.search(r"\b[ABCD]\b", table)
        assert "fewer folds" in table or "clean.exclude" in table
        return
    assert table["id"].tolist() == images["id"].tolist()
    assert table.groupby("group")["split"].nunique().max() == 1
    assert (table.groupby("label")["split"].agg(set) == PARTS).all()

    order = random.sample(range(len(images)), len(images))
    shuffled = split(images.iloc[order], params=params, seed=seed)
    assert shuffled.set_index("id")["split"].to_dict() == table.set_index("id")["split"].to_dict()


@pytest.mark.parametrize(("validation", "test"), [(0.16, 0.2), (0.1, 0.1), (0.25, 0.25), (0.05, 0.9), (0.15, 0.3)])
def test_shares_are_met_in_every_class(validation: float, test: float) -> None:
    images = manifest(A=200, B=90, C=40)
    table = split(images, params=parameters(validation=validation, test=test), seed=3)
    for name, members in table.groupby("label"):
        shares = members["split"].value_counts(normalize=True)
        assert shares["test"] == pytest.approx(test, abs=0.03), name
        assert shares["validation"] == pytest.approx(validation, abs=0.03), name


@pytest.mark.parametrize("count", [3, 5, 10])
def test_each_image_is_in_the_test_part_of_exactly_one_fold(count: int) -> None:
    images = manifest(A=61, B=23, C=12)
    images["group"] = [f"g{number // 2}" if number < 30 else f"g{number}" for number in range(len(images))]
    tests = [
        table.loc[table["split"] == "test", "id"].tolist()
        for table in (split(images, params=parameters(folds=count, fold=fold), seed=1) for fold in range(count))
    ]
    assert sorted(itertools.chain(*tests)) == images["id"].tolist()
    assert max(map(len, tests)) - min(map(len, tests)) <= 4


def test_another_seed_is_another_split() -> None:
    images = manifest(A=30, B=30)
    first, again, other = (split(images, params=parameters(), seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.parametrize("test", [0.2, 0.5])
@pytest.mark.parametrize("seed", range(6))
def test_a_class_of_three_groups_is_split_with_any_seed(seed: int, test: float) -> None:
    table = split(manifest(A=100, B=40, C=3), params=parameters(test=test), seed=seed)
    assert set(table.loc[table["label"] == "C", "split"]) == PARTS


def test_shares_finer_than_the_images_are_rounded() -> None:
    table = split(manifest(A=6, B=6), params=parameters(validation=0.01, test=0.01), seed=1)
    assert table["split"].value_counts().to_dict() == {"train": 8, "test": 2, "validation": 2}


@pytest.mark.parametrize(("validation", "test"), [(0.79, 0.2), (0.01, 0.98), (0.5, 0.49)])
def test_hardly_any_training_part_is_still_one(validation: float, test: float) -> None:
    table = split(manifest(A=200, B=200), params=parameters(validation=validation, test=test), seed=1)
    assert (table.groupby("label")["split"].agg(set) == PARTS).all()


def test_a_class_of_too_few_groups_is_named_with_the_way_out() -> None:
    images = manifest(A=50, BLAST=2, RARE=6)
    images.loc[images["label"] == "RARE", "group"] = "one smear"
    with pytest.raises(SplitError) as caught:
        split(images, params=parameters(), seed=1)
    assert str(caught.value).splitlines() == [
        "too few groups to reach train, validation and test: BLAST 2, RARE 1 (3 are needed).",
        "Leave the class out with -S 'clean.exclude=[BLAST,RARE]' or bring more images.",
    ]


def test_a_class_that_misses_a_fold_is_named_with_the_way_out() -> None:
    images = manifest(A=100, BLAST=4)
    outcomes = [attempt(images, params=parameters(folds=10, fold=fold), seed=1) for fold in range(10)]
    refusals = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(refusals) == 6
    assert refusals[0].splitlines() == [
        "BLAST (4 images) does not reach test.",
        "Take another `seed`, larger shares or fewer folds under `split`, "
        "or leave the class out with -S 'clean.exclude=[BLAST]'.",
    ]


def test_more_folds_than_images() -> None:
    with pytest.raises(
        SplitError, match=r"20 folds need a class of 20 images, but the largest, A, has 9 .*\n.*fewer folds"
    ):
        split(manifest(A=9, B=5), params=parameters(folds=20), seed=1)


def test_the_summary_counts_images_groups_and_classes() -> None:
    table = pd.DataFrame(
        {
            "id": list("abcde"),
            "label": list("XXYXY"),
            "group": list("aacde"),
            "split": ["train", "train", "train", "validation", "test"],
        }
    )
    assert summarise(table) == {
        "train": {"images": 3, "groups": 2, "classes": {"X": 2, "Y": 1}},
        "validation": {"images": 1, "groups": 1, "classes": {"X": 1}},
        "test": {"images": 1, "groups": 1, "classes": {"Y": 1}},
    }
