"""Divides images into training, validation and test part: stratified by class, never across a group if not told to."""

from typing import Any

import pandas as pd

from wbc.data.tables import GROUPED_SPLIT, SPLIT, SPLITS, UNUSED, check_table
from wbc.split.params import SplitParams
from wbc.split.strategies import STRATEGIES, UNGROUPED, SplitError, count_groups, file_order


def split(manifest: pd.DataFrame, *, params: SplitParams, seed: int) -> pd.DataFrame:
    """Return the table id, label, group, split (wbc.data.tables.SPLIT) of every image in ``manifest``, in its order.

    ``params.strategy`` is a key of STRATEGIES. Every class reaches the training part and, if it has three groups and
    the strategy allows, the others; see `describe_split` for what does not. The result does not depend on the order of
    the rows. Raises SplitError when a class does not reach the training part or a part stays empty.
    """
    table = manifest.sort_values("id", ignore_index=True)
    parts = STRATEGIES[params.strategy](table, params, seed)
    table = table[["id", "label", "group"]].assign(split=parts)
    _require_parts(table)
    ordered = table.set_index("id").loc[manifest["id"]].reset_index()
    return check_table(ordered, SPLIT if params.strategy in UNGROUPED else GROUPED_SPLIT, where="the split")


def _require_parts(table: pd.DataFrame) -> None:
    """Raise SplitError where a class has no training image or a part no image."""
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=list(SPLITS), fill_value=0)
    untrained = [str(name) for name in counts.index[counts["train"] == 0]]
    if untrained:
        raise SplitError(
            f"{', '.join(untrained)} does not reach train.\n"
            "Take another `seed`, smaller shares or fewer folds under `split`, "
            f"or leave the class out with -S 'clean.exclude=[{','.join(untrained)}]'."
        )
    empty = [part for part in SPLITS if counts[part].sum() == 0]
    if empty:
        groups = ", ".join(f"{name} {count}" for name, count in count_groups(table).items())
        raise SplitError(
            f"no image for {' and '.join(empty)}: too few groups or images ({groups}).\n"
            "Take other shares or fewer folds under `split`, or bring more images."
        )


def describe_split(table: pd.DataFrame, *, strategy: str) -> list[str]:
    """Return what a reader of results on this split must know, a sentence each: what it cannot tell or ignores."""
    notes = []
    crossing = int(table[table["split"] != UNUSED].groupby("group")["split"].nunique().gt(1).sum())
    if strategy == "leaky":
        notes.append("LEAKY: the training part holds views of all images, also of those in validation and test")
    if strategy in UNGROUPED:
        notes.append(f"groups are ignored, {crossing} of them lie in more than one part")
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=list(SPLITS), fill_value=0)
    for (name, row), groups in zip(counts.iterrows(), count_groups(table), strict=True):
        missing = [part for part in SPLITS if row[part] == 0]
        if missing:
            images = f"{int((table['label'] == name).sum())} images in {groups} groups"
            notes.append(f"{name} ({images}) has no image in {' and '.join(missing)}")
    unused = int((table["split"] == UNUSED).sum())
    if unused:
        notes.append(f"{unused} images are unused: another image of their group is in a later official part")
    if strategy == "blocks":
        ordered = table.loc[file_order(table)]
        broken = [str(name) for name, members in ordered.groupby("label") if not _is_run(members["split"] == "test")]
        if broken:
            notes.append(f"the test part of {', '.join(broken)} is not one run: groups are kept together")
    return notes


def _is_run(mask: pd.Series) -> bool:
    """Tell whether the true values follow each other."""
    return bool((mask & ~mask.shift(fill_value=False)).sum() <= 1)


def summarise_split(table: pd.DataFrame, *, strategy: str) -> dict[str, Any]:
    """Return the strategy, the number of images, groups and images per class in each part, and what to know of it."""
    parts = {
        part: {
            "images": len(members),
            "groups": int(members["group"].nunique()),
            "classes": {name: int(count) for name, count in members["label"].value_counts().sort_index().items()},
        }
        for part, members in ((part, table[table["split"] == part]) for part in SPLITS)
    }
    return {"strategy": strategy, **parts, "notes": describe_split(table, strategy=strategy)}
