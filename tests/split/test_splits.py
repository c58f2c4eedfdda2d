import itertools
import re

import pandas as pd
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from wbc.split.params import SplitParams
from wbc.split.splits import split, summarise_split
from wbc.split.strategies import SplitError

PARTS = {"train", "validation", "test"}


def parameters(
    strategy: str = "grouped", *, validation: float = 0.16, test: float = 0.2, folds: int | None = None, fold: int = 0
) -> SplitParams:
    share = None if folds or strategy == "predefined" else test
    values = {"strategy": strategy, "validation": validation, "test": share, "folds": folds, "fold": fold}
    return SplitParams.model_validate(values)


def manifest(**counts: int) -> pd.DataFrame:
    """Return so many images of each class, each its own group."""
    labels = [name for name, count in counts.items() for _ in range(count)]
    identifiers = [f"{number:04d}" for number in range(len(labels))]
    return pd.DataFrame({"id": identifiers, "label": labels, "group": identifiers})


@st.composite
def manifests(draw: st.DrawFn) -> pd.DataFrame:
    """Return two to four classes of 1 to 30 groups of 1 to 3 images; some groups hold images of two classes.

    The first class has at least 3 groups. The official parts are drawn image by image.
    """
    sizes = {
        name: draw(st.lists(st.integers(1, 3), min_size=3 if name == "A" else 1, max_size=30))
        for name in "ABCD"[: draw(st.integers(2, 4))]
    }
    rows = [(f"{name}{number}", name) for name in sizes for number, size in enumerate(sizes[name]) for _ in range(size)]
    rows += [(f"A{number}", "B") for number in range(draw(st.integers(0, 2)))]
    table = pd.DataFrame(rows, columns=["group", "label"])
    parts = draw(st.lists(st.sampled_from(["train", "train", "validation", "test"]), min_size=len(table)))
    return table.assign(id=[f"i{number}" for number in range(len(table))], part=parts[: len(table)])


def attempt(images: pd.DataFrame, *, params: SplitParams, seed: int) -> pd.DataFrame | str:
    """Return the split or the reason why there is none."""
    try:
        return split(images, params=params, seed=seed)
    except SplitError as error:
        return str(error)


@settings(max_examples=40)
@given(
    images=manifests(),
    strategy=st.sampled_from(["grouped", "random", "blocks", "predefined"]),
    validation=st.floats(0.01, 0.6),
    test=st.floats(0.01, 0.39),
    folds=st.none() | st.integers(3, 6),
    seed=st.integers(0, 2**32 - 1),
    random=st.randoms(use_true_random=False),
)
def test_no_group_crosses_and_every_class_can_be_learned(
    images, strategy, validation, test, folds, seed, random
) -> None:
    folds = None if strategy == "predefined" else folds
    params = parameters(strategy, validation=validation, test=test, folds=folds, fold=0)
    table = attempt(images, params=params, seed=seed)
    event(f"{strategy} refused" if isinstance(table, str) else strategy)
    if isinstance(table, str):
        assert re.search(r"\b[ABCD]\b|no test part|no train part", table)
        assert re.search("fewer folds|clean.exclude|split.strategy=grouped", table)
        return
    assert table["id"].tolist() == images["id"].tolist()
    used = table[table["split"] != "unused"]
    assert strategy == "predefined" or len(used) == len(table)
    if strategy != "random":
        assert used.groupby("group")["split"].nunique().max() == 1
    reached = table.groupby("label")["split"].agg(set)
    assert reached.map(lambda parts: "train" in parts).all()
    missed = {(name, part) for name, parts in reached.items() for part in PARTS - parts}
    notes = " ".join(summarise_split(table, strategy=strategy)["notes"])
    assert {(name, part) for name, part in missed if f"{name} (" in notes and part in notes} == missed

    order = random.sample(range(len(images)), len(images))
    shuffled = split(images.iloc[order], params=params, seed=seed)
    assert shuffled.set_index("id")["split"].to_dict() == table.set_index("id")["split"].to_dict()


@settings(max_examples=40)
@given(images=manifests(), seed=st.integers(0, 2**32 - 1))
def test_the_official_test_part_stays_whole(images, seed) -> None:
    table = attempt(images, params=parameters("predefined"), seed=seed)
    if isinstance(table, str):
        return
    assert table.index[table["split"] == "test"].tolist() == images.index[images["part"] == "test"].tolist()
    validation = images["part"] == "validation"
    if validation.any():
        assert set(table["split"][validation]) <= {"validation", "unused"}
    unused = table["split"] == "unused"
    later = images["group"].isin(images.loc[images["part"] != "train", "group"])
    assert later[unused].all()


@pytest.mark.parametrize("strategy", ["grouped", "random", "blocks"])
@pytest.mark.parametrize(("validation", "test"), [(0.16, 0.2), (0.1, 0.1), (0.25, 0.25), (0.05, 0.9), (0.15, 0.3)])
def test_shares_are_met_in_every_class(validation: float, test: float, strategy: str) -> None:
    images = manifest(A=200, B=90, C=40)
    table = split(images, params=parameters(strategy, validation=validation, test=test), seed=3)
    for name, members in table.groupby("label"):
        shares = members["split"].value_counts(normalize=True)
        assert shares["test"] == pytest.approx(test, abs=0.03), name
        assert shares["validation"] == pytest.approx(validation, abs=0.03), name


@settings(max_examples=10)
@given(
    counts=st.lists(st.integers(60, 200), min_size=2, max_size=4),
    strategy=st.sampled_from(["grouped", "random", "blocks"]),
    validation=st.floats(0.05, 0.3),
    test=st.floats(0.05, 0.4),
    seed=st.integers(0, 2**32 - 1),
)
def test_proportions_hold_for_any_shares(counts, strategy, validation, test, seed) -> None:
    images = manifest(**dict(zip("ABCD", counts, strict=False)))
    table = split(images, params=parameters(strategy, validation=validation, test=test), seed=seed)
    for _, members in table.groupby("label"):
        shares = members["split"].value_counts(normalize=True)
        assert shares["test"] == pytest.approx(test, abs=0.05)
        assert shares["validation"] == pytest.approx(validation, abs=0.05)


@pytest.mark.parametrize("strategy", ["grouped", "random", "blocks"])
@pytest.mark.parametrize("count", [3, 5, 10])
def test_each_image_is_in_the_test_part_of_exactly_one_fold(count: int, strategy: str) -> None:
    images = manifest(A=61, B=23, C=12)
    images["group"] = [f"g{number // 2}" if number < 30 else f"g{number}" for number in range(len(images))]
    tests = [
        table.loc[table["split"] == "test", "id"].tolist()
        for table in (
            split(images, params=parameters(strategy, folds=count, fold=fold), seed=1) for fold in range(count)
        )
    ]
    assert sorted(itertools.chain(*tests)) == images["id"].tolist()
    assert max(map(len, tests)) - min(map(len, tests)) <= 4


@pytest.mark.parametrize("strategy", ["grouped", "random", "blocks"])
def test_another_seed_is_another_split(strategy: str) -> None:
    images = manifest(A=30, B=30)
    first, again, other = (split(images, params=parameters(strategy), seed=seed) for seed in (1, 1, 2))
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


def test_a_class_too_small_for_every_part_is_split_as_far_as_it_goes_and_named() -> None:
    images = manifest(A=50, BLAST=2, GIANT=1, RARE=6)
    images.loc[images["label"] == "RARE", "group"] = "one smear"
    table = split(images, params=parameters(), seed=1)
    reached = table.groupby("label")["split"].agg(lambda parts: sorted(set(parts))).to_dict()
    assert reached == {
        "A": ["test", "train", "validation"],
        "BLAST": ["test", "train"],
        "GIANT": ["train"],
        "RARE": ["train"],
    }
    assert summarise_split(table, strategy="grouped")["notes"] == [
        "BLAST (2 images in 2 groups) has no image in validation",
        "GIANT (1 images in 1 groups) has no image in validation and test",
        "RARE (6 images in 1 groups) has no image in validation and test",
    ]


def test_nine_subtypes_with_three_images_in_one() -> None:
    images = manifest(**dict.fromkeys("ABCDEFGH", 12), BLAST=3)
    table = split(images, params=parameters(), seed=1)
    assert (table.groupby("label")["split"].agg(set) == PARTS).all()
    assert summarise_split(table, strategy="grouped")["notes"] == []


def test_nothing_can_be_held_out_of_single_groups() -> None:
    images = manifest(A=9, B=9)
    images["group"] = images["label"]
    with pytest.raises(SplitError, match=r"no image for validation and test: too few groups or images \(A 1, B 1\)"):
        split(images, params=parameters(), seed=1)


def test_patients_with_all_classes_are_not_torn_apart() -> None:
    images = manifest(A=40, B=40)
    images["group"] = [f"patient {number % 4}" for number in range(80)]
    table = split(images, params=parameters(), seed=1)
    assert table.groupby("split")["group"].nunique().to_dict() == {"test": 1, "train": 2, "validation": 1}


def test_a_class_that_misses_a_fold_is_named() -> None:
    images = manifest(A=100, BLAST=4)
    notes = []
    for fold in range(10):
        table = split(images, params=parameters(folds=10, fold=fold), seed=1)
        notes += summarise_split(table, strategy="grouped")["notes"]
    assert notes == ["BLAST (4 images in 4 groups) has no image in test"] * 6


def test_blocks_are_runs_in_file_order() -> None:
    images = manifest(A=50, B=20)
    images["id"] = images["group"] = [f"image_{number}" for number in range(len(images))]  # 9 before 10
    table = split(images, params=parameters("blocks"), seed=4)
    for name, members in table.groupby("label"):
        parts = members["split"].tolist()
        runs = [part for part, _ in itertools.groupby(parts)]
        assert [part for part in runs if part != "train"] == ["test", "validation"], name
        assert parts.count("test") == len(parts) // 5
    assert summarise_split(table, strategy="blocks")["notes"] == []


def test_blocks_do_not_tear_groups_apart_and_say_so() -> None:
    images = manifest(A=50)
    first, second = images.index[[0, 49]]
    images.loc[[first, second], "group"] = "twins"
    for seed in range(50):
        table = split(images, params=parameters("blocks"), seed=seed)
        assert table.groupby("group")["split"].nunique().max() == 1
        if table.loc[first, "split"] == "test":
            assert summarise_split(table, strategy="blocks")["notes"] == [
                "the test part of A is not one run: groups are kept together"
            ]
            return
    pytest.fail("no test part began at the first image")


def test_random_ignores_groups_and_says_so() -> None:
    images = manifest(A=60)
    images["group"] = [f"g{number // 2}" for number in range(60)]
    table = split(images, params=parameters("random"), seed=1)
    assert table["group"].tolist() == images["group"].tolist()
    crossing = int((table.groupby("group")["split"].nunique() > 1).sum())
    assert crossing > 5
    assert summarise_split(table, strategy="random")["notes"] == [
        f"groups are ignored, {crossing} of them lie in more than one part"
    ]


def test_a_leaky_split_is_a_random_one_that_says_so_first() -> None:
    images = manifest(A=60)
    table = split(images, params=parameters("leaky"), seed=1)
    pd.testing.assert_frame_equal(table, split(images, params=parameters("random"), seed=1))
    first, _ = summarise_split(table, strategy="leaky")["notes"]
    assert first == "LEAKY: the training part holds views of all images, also of those in validation and test"


def test_an_official_split_is_kept_and_validation_cut_from_its_training_part() -> None:
    images = manifest(A=60, B=40)
    images["part"] = ["test" if number % 4 == 0 else "train" for number in range(100)]
    images.loc[[0, 1], "group"] = "twins"
    table = split(images, params=parameters("predefined"), seed=1)
    assert (table["split"] == "test").tolist() == (images["part"] == "test").tolist()
    assert table["split"].value_counts().to_dict() == {"train": 58, "test": 25, "validation": 16, "unused": 1}
    assert table.loc[1, "split"] == "unused"
    assert summarise_split(table, strategy="predefined")["notes"] == [
        "1 images are unused: another image of their group is in a later official part"
    ]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([""] * 4, r"the source has no official split\.\nTake -S split\.strategy=grouped"),
        (["train"] * 4, "the official split of the source has no test part"),
        (["train", "test", "", ""], "2 images belong to no part of the official split, the first 0002"),
    ],
)
def test_an_official_split_that_is_none(parts: list[str], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        split(manifest(A=4).assign(part=parts), params=parameters("predefined"), seed=1)


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
    assert summarise_split(table, strategy="grouped") == {
        "strategy": "grouped",
        "train": {"images": 3, "groups": 2, "classes": {"X": 2, "Y": 1}},
        "validation": {"images": 1, "groups": 1, "classes": {"X": 1}},
        "test": {"images": 1, "groups": 1, "classes": {"Y": 1}},
        "notes": [
            "X (3 images in 2 groups) has no image in test",
            "Y (2 images in 2 groups) has no image in validation",
        ],
    }
