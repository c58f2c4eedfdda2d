import math
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE

from wbc.augment.augmentation import augment, choose_images, plan_views, summarise_augmentation
from wbc.augment.params import AugmentParams
from wbc.augment.views import random_view
from wbc.base.draws import generator
from wbc.data.arrays import read_images
from wbc.data.tables import TRAIN, check_table

DEFAULTS = {
    "target_per_class": None,
    "copies": 2,
    "rotation": 180,
    "shift": 0.1,
    "shear": 0.15,
    "scale": 0.1,
    "flips": True,
    "brightness": 0.1,
    "colour": 0.05,
    "stain": 0.05,
    "order": "views_first",
    "balance": "none",
    "space": "pixels",
    "neighbours": 3,
}


def parameters(**changes: object) -> AugmentParams:
    return AugmentParams.model_validate(DEFAULTS | changes)


def training(*, shift: int = 0, **counts: int) -> pd.DataFrame:
    """Return so many images of each class; the id and the row in cells.npy of each tell its position."""
    labels = [name for name, count in counts.items() for _ in range(count)]
    positions = range(shift, shift + len(labels))
    identifiers = [f"i{position:02d}" for position in positions]
    split = pd.DataFrame({"id": identifiers, "label": labels, "split": "train"}, index=positions)
    return choose_images(split, leaky=False)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Fifty images of noise."""
    np.save(tmp_path / "cells.npy", np.random.default_rng(0).integers(0, 256, (50, 24, 20, 3), dtype=np.uint8))
    return tmp_path / "cells.npy"


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Spare most tests the start of processes."""
    with joblib.parallel_config(backend="threading"):
        yield


def run(images: pd.DataFrame, cells: Path, *, seed: int = 1, **changes: object) -> tuple[pd.DataFrame, np.ndarray]:
    """Augment and return the table and the pixels."""
    output = cells.with_name("train.npy")
    table = augment(images, cells=cells, output=output, params=parameters(**changes), seed=seed)
    assert sorted(path.name for path in cells.parent.iterdir()) == ["cells.npy", "train.npy"]
    check_table(table, TRAIN, where="the table")
    pixels = np.array(read_images(output))
    assert len(pixels) == len(table)
    return table, pixels


@pytest.mark.parametrize(
    ("target", "copies", "views"),
    [
        (None, 0, {}),
        (None, 2, {"A": 14, "B": 6}),
        (9, None, {"A": 2, "B": 6}),
        (9, 1, {"A": 2, "B": 3}),
        (5, None, {"B": 2}),
        (100, 3, {"A": 21, "B": 9}),
    ],
)
def test_views_reach_the_target_or_end_with_the_copies(target, copies, views) -> None:
    plan = plan_views(training(A=7, B=3), params=parameters(target_per_class=target, copies=copies))
    assert plan.loc[plan["kind"] == "view", "label"].value_counts().to_dict() == views
    assert plan.loc[plan["kind"] == "original", "id"].tolist() == training(A=7, B=3)["id"].tolist()


def test_every_image_has_its_turn_before_one_is_seen_again() -> None:
    plan = plan_views(training(A=3), params=parameters(target_per_class=8, copies=None))
    assert list(zip(plan["id"], plan["copy"], plan["kind"], strict=True))[3:] == [
        ("i00", 1, "view"),
        ("i01", 1, "view"),
        ("i02", 1, "view"),
        ("i00", 2, "view"),
        ("i01", 2, "view"),
    ]


def test_originals_come_first_and_unchanged(cells: Path) -> None:
    table, pixels = run(training(A=5, B=2, shift=10), cells)
    assert np.array_equal(pixels[:7], np.load(cells)[10:17])
    assert table["kind"].tolist() == ["original"] * 7 + ["view"] * 14
    assert not any((pixels[7:] == original).all(axis=(1, 2, 3)).any() for original in pixels[:7])


def test_a_view_depends_on_seed_id_and_copy_alone(cells: Path) -> None:
    def views(images: pd.DataFrame, **changes: object) -> dict[tuple[str, int], bytes]:
        table, pixels = run(images, cells, **changes)
        return {(row.id, row.copy): pixels[index].tobytes() for index, row in enumerate(table.itertuples(index=False))}

    images = training(A=6, B=4)
    every = views(images)
    assert len(set(every.values())) == 30
    fewer = views(images[images["id"].isin(["i08", "i02"])][::-1], copies=1)
    assert sorted(fewer) == [("i02", 0), ("i02", 1), ("i08", 0), ("i08", 1)]
    assert fewer.items() <= every.items()
    np.save(cells, np.load(cells)[::-1])
    assert views(images.assign(position=49 - images["position"])) == every
    other = views(images.assign(position=49 - images["position"]), seed=2)
    assert {key for key in every if every[key] == other[key]} == {key for key in every if key[1] == 0}


@pytest.mark.parametrize("balance", ["smote", "repeat"])
def test_one_worker_many_threads_and_processes_write_the_same_file(cells: Path, balance: str) -> None:
    files = []
    for backend in ("sequential", "threading", "loky"):
        with joblib.parallel_config(backend=backend):
            run(training(A=9, B=5), cells, balance=balance)
        files.append(cells.with_name("train.npy").read_bytes())
    assert files[1:] == files[:1] * 2


def test_smote_fills_up_with_blends_of_the_pair_that_it_names(cells: Path) -> None:
    table, pixels = run(training(A=20, B=7, C=5), cells, copies=1, balance="smote")
    assert summarise_augmentation(table) == {
        "images": 120,
        "classes": {
            "A": {"original": 20, "smote": 0, "view": 20},
            "B": {"original": 7, "smote": 26, "view": 7},
            "C": {"original": 5, "smote": 30, "view": 5},
        },
    }
    before = (table["kind"] != "smote").sum()
    flat = pixels[:before].reshape(before, -1).astype(np.float32)
    sampler = SMOTE(sampling_strategy={"A": 40, "B": 40, "C": 40}, k_neighbors=3, random_state=1)
    expected, labels = sampler.fit_resample(flat, table["label"][:before])
    assert np.array_equal(pixels.reshape(120, -1)[before:], np.rint(expected[before:]))
    assert table["label"].tolist() == labels.tolist()
    made = table[before:]
    label_of = table[:before].drop_duplicates("id").set_index("id")["label"]
    assert (label_of[made["id"]].to_numpy() == made["label"]).all()
    assert (label_of[made["partner"]].to_numpy() == made["label"]).all()


def test_the_target_is_reached_where_copies_fall_short(cells: Path) -> None:
    table, _ = run(training(A=9, B=6), cells, target_per_class=25, copies=1, balance="smote")
    assert table.groupby(["label", "kind"]).size().to_dict() == {
        ("A", "original"): 9,
        ("A", "view"): 9,
        ("A", "smote"): 7,
        ("B", "original"): 6,
        ("B", "view"): 6,
        ("B", "smote"): 13,
    }


def test_repetition_is_even(cells: Path) -> None:
    images = training(A=29, B=10)
    table, pixels = run(images, cells, copies=0, balance="repeat")
    repeated = table[table["kind"] == "repeat"]
    assert repeated["label"].tolist() == ["B"] * 19
    assert sorted(repeated["id"].value_counts()) == [1, *[2] * 9]
    originals = dict(zip(table["id"][:39], pixels[:39], strict=True))
    assert all(np.array_equal(pixels[row], originals[identifier]) for row, identifier in repeated["id"].items())
    assert run(images, cells, copies=0, balance="repeat")[0].equals(table)


def test_balance_none_leaves_the_classes_as_they_are(cells: Path) -> None:
    table, _ = run(training(A=11, B=4), cells, copies=0)
    assert summarise_augmentation(table) == {"images": 15, "classes": {"A": {"original": 11}, "B": {"original": 4}}}


@pytest.mark.parametrize("balance", ["smote", "repeat", "none"])
def test_only_the_given_images_appear(cells: Path, balance: str) -> None:
    images = training(A=9, B=6, shift=20)
    table, _ = run(images, cells, balance=balance)
    assert set(table["id"]) == set(images["id"])
    assert set(table["partner"]) - {""} <= set(images["id"])


def test_a_class_too_small_for_smote_leaves_nothing(cells: Path) -> None:
    with pytest.raises(ValueError, match="SMOTE with 5 neighbours needs 6 images of a class, but B has 4"):
        run(training(A=20, B=2), cells, copies=1, balance="smote", neighbours=5)
    assert [path.name for path in cells.parent.iterdir()] == ["cells.npy"]


def shown(table: pd.DataFrame, pixels: np.ndarray) -> dict[tuple[str, str, str, int], bytes]:
    """Return the pixels of each row by its kind, id, partner and copy, which no two rows share."""
    keys = list(zip(table["kind"], table["id"], table["partner"], table["copy"], strict=True))
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, (image.tobytes() for image in pixels), strict=True))


def test_with_balance_first_smote_sees_the_originals_alone_and_views_show_its_blends(cells: Path) -> None:
    images = training(A=12, B=5)
    table, pixels = run(images, cells, order="balance_first", balance="smote", copies=2)
    assert summarise_augmentation(table)["classes"] == {
        "A": {"original": 12, "smote": 0, "view": 24},
        "B": {"original": 5, "smote": 7, "view": 24},
    }
    assert table["kind"].tolist() == ["original"] * 17 + ["smote"] * 7 + ["view"] * 48
    flat = np.load(cells)[:17].reshape(17, -1).astype(np.float32)
    sampler = SMOTE(sampling_strategy={"A": 12, "B": 12}, k_neighbors=3, random_state=1)
    expected, _ = sampler.fit_resample(flat, images["label"])
    assert np.array_equal(pixels[:24].reshape(24, -1), np.rint(expected))

    blends = [(row.id, row.partner) for row in table[17:24].itertuples()]
    views = table[24:].loc[lambda rows: rows["partner"] != ""]
    assert Counter(zip(views["id"], views["partner"], strict=True)) == {
        pair: 2 * n for pair, n in Counter(blends).items()
    }
    for row, (identifier, partner) in zip(range(17, 24), blends, strict=True):
        if blends.count((identifier, partner)) > 1:
            continue  # their views are told apart by the order of the blends
        for copy in (1, 2):
            draws = generator(1, "view", identifier, partner, copy)
            view = random_view(pixels[row], params=parameters(), draws=draws)
            assert shown(table, pixels)["view", identifier, partner, copy] == view.tobytes()


def test_views_of_an_image_and_of_its_repetitions_are_counted_together(cells: Path) -> None:
    table, pixels = run(training(A=6, B=2), cells, order="balance_first", balance="repeat", copies=2)
    images = shown(table, pixels)
    assert sorted(copy for kind, identifier, _, copy in images if (kind, identifier) == ("view", "i07")) == [
        *range(1, 7)
    ]
    views = [image for (kind, *_), image in images.items() if kind == "view"]
    assert len(set(views)) == len(views) == 24


def test_originals_have_the_same_views_in_either_order(cells: Path) -> None:
    first, second = (
        shown(*run(training(A=20, B=6), cells, order=order, balance="smote", target_per_class=45, copies=4))
        for order in ("views_first", "balance_first")
    )
    common = {key for key in first.keys() & second.keys() if key[0] == "view"}
    assert len(common) == 36  # 25 of A; of B, beside 14 blends, each image once and five twice
    assert all(first[key] == second[key] for key in common)


def test_without_balance_the_order_makes_no_difference(cells: Path) -> None:
    files = []
    for order in ("views_first", "balance_first"):
        run(training(A=9, B=5), cells, order=order)
        files.append(cells.with_name("train.npy").read_bytes())
    assert files[0] == files[1]


@settings(max_examples=25)
@given(
    counts=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    others=st.integers(0, 5),
    order=st.sampled_from(["views_first", "balance_first"]),
    balance=st.sampled_from(["smote", "repeat", "none"]),
    target=st.none() | st.integers(1, 30),
    copies=st.integers(0, 3),
    neighbours=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_classes_reach_any_target(counts, others, order, balance, target, copies, neighbours, seed) -> None:
    classes = dict(zip("ABCD", counts, strict=False))
    labels = [name for name, count in classes.items() for _ in range(count)]
    parts = ["train"] * len(labels) + ["validation", "test"] * others
    split = pd.DataFrame({"label": labels + ["A", "B"] * others, "split": parts}).sample(frac=1, random_state=seed)
    split = split.reset_index(drop=True).assign(id=lambda table: [f"i{row}" for row in table.index])
    largest = max(counts)
    viewed = {
        name: count + (copies * count if target is None else min(copies * count, max(target - count, 0)))
        for name, count in classes.items()
    }
    size = largest * (1 + copies) if target is None else max(target, largest)
    wanted = {name: viewed[name] if balance == "none" else size for name in classes}

    before = viewed if order == "views_first" else classes
    goal = size if order == "views_first" else max(largest, math.ceil((target or 0) / (1 + copies)))
    scarce = [name for name in classes if balance == "smote" and before[name] < goal and before[name] <= neighbours]
    with tempfile.TemporaryDirectory() as folder:
        cells, output = Path(folder) / "cells.npy", Path(folder) / "train.npy"
        images = np.random.default_rng(seed).integers(0, 256, (len(split), 8, 6, 3), dtype=np.uint8)
        np.save(cells, images)
        changes = {"order": order, "balance": balance, "target_per_class": target, "copies": copies}
        params = parameters(**changes, neighbours=neighbours)
        chosen = choose_images(split, leaky=False)
        if scarce:
            event("refused")
            with pytest.raises(ValueError, match=f"images of a class, but {scarce[0]} has {before[scarce[0]]}"):
                augment(chosen, cells=cells, output=output, params=params, seed=seed)
            return
        table = augment(chosen, cells=cells, output=output, params=params, seed=seed)
        written = output.read_bytes()
        pixels = np.array(read_images(output))
        again = augment(chosen, cells=cells, output=output, params=params, seed=seed)
        assert output.read_bytes() == written
    event(f"{balance}, {order}")
    assert again.equals(table)
    assert len(pixels) == len(table)
    check_table(table, TRAIN, where="the table")
    assert table["label"].value_counts().to_dict() == wanted

    trained = split[split["split"] == "train"]
    assert table["id"][: len(trained)].tolist() == trained["id"].tolist()
    assert np.array_equal(pixels[: len(trained)], images[trained.index])
    assert (table["kind"] == "original").tolist() == [True] * len(trained) + [False] * (len(table) - len(trained))
    label_of = trained.set_index("id")["label"]
    assert table["id"].map(label_of).tolist() == table["label"].tolist()
    blended = table[table["partner"] != ""]
    assert blended["partner"].map(label_of).tolist() == blended["label"].tolist()
    assert set(blended["kind"]) <= ({"smote"} if order == "views_first" else {"smote", "view"})
    assert (table.loc[table["kind"] == "smote", "partner"] != "").all()


SPLIT = pd.DataFrame(
    {
        "id": ["a", "b", "c", "d"],
        "label": "A",
        "group": ["a", "b", "c", "d"],
        "split": ["train", "test", "validation", "train"],
    }
)


def test_views_are_drawn_of_the_training_part_alone() -> None:
    plan = plan_views(choose_images(SPLIT, leaky=False), params=parameters(copies=1))
    assert list(zip(plan["id"], plan["kind"], strict=True)) == [
        ("a", "original"),
        ("d", "original"),
        ("a", "view"),
        ("d", "view"),
    ]


def test_a_leaky_split_draws_views_of_every_image_and_keeps_the_others_originals_out() -> None:
    chosen = choose_images(SPLIT, leaky=True)
    assert chosen["position"].tolist() == [0, 1, 2, 3]
    plan = plan_views(chosen, params=parameters(copies=1))
    assert plan.loc[plan["kind"] == "original", "id"].tolist() == ["a", "d"]
    assert plan.loc[plan["kind"] == "view", "id"].tolist() == ["a", "b", "c", "d"]
