"""Fills up the training part: random views of its images, SMOTE or repetition for small classes, in either order."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wbc.augment.params import AugmentParams
from wbc.augment.smote import SAMPLERS, blend, plan_smote
from wbc.augment.views import Shown, draw
from wbc.base.draws import generator
from wbc.base.files import written_aside
from wbc.data.arrays import Image, create_images, image_writer, read_images
from wbc.data.tables import TRAIN
from wbc.tools.parallel import map_parallel

_COLUMNS = list(TRAIN.columns)
_AT_ONCE = 32  # images that a worker writes at once


def choose_images(split: pd.DataFrame, *, leaky: bool) -> pd.DataFrame:
    """Return the images in ``split`` (wbc.data.tables.SPLIT) that views are drawn of, as rows of wbc.data.tables.TRAIN.

    Besides, ``position`` is their row in cells.npy and ``kept`` whether the image itself is trained on. They are those
    of the training part. Where the split is ``leaky`` the others lend their views too: as if the views had been drawn
    before the split.
    """
    images = split[["label", "id"]].assign(kind="original", partner="", copy=0)[_COLUMNS]
    images = images.assign(position=split.index, kept=split["split"] == "train")
    return images if leaky else images[images["kept"]]


def plan_views(images: pd.DataFrame, *, params: AugmentParams) -> pd.DataFrame:
    """Return those of ``images`` that are kept and the views to draw: rows of wbc.data.tables.TRAIN, with ``position``.

    ``images`` is like what `choose_images` returns. A class gets views, one of each image in turn, until it has
    ``target_per_class`` images or each image has ``copies`` views. A view has the id and the partner of the image that
    it shows, and ``copy`` counts the views of these, whichever image of them is shown.
    """
    parts = [images[images["kept"]]]
    for _, members in images.groupby("label"):
        ceiling = np.inf if params.copies is None else params.copies * len(members)
        wanted = ceiling if params.target_per_class is None else max(params.target_per_class - len(members), 0)
        turns = np.arange(int(min(wanted, ceiling)))
        views = members.iloc[turns % len(members)].assign(kind="view")
        parts.append(views.assign(copy=1 + views.groupby(["id", "partner"]).cumcount().to_numpy()))
    return pd.concat(parts, ignore_index=True)[[*_COLUMNS, "position"]]


def augment(training: pd.DataFrame, *, cells: Path, output: Path, params: AugmentParams, seed: int) -> pd.DataFrame:
    """Write the training images, their views and the images that balance the classes to ``output``.

    ``training`` is what `choose_images` returns, ``position`` the row in ``cells``. Returns the table
    wbc.data.tables.TRAIN, row i for image i. What is drawn for a view depends only on (seed, id, partner, copy).
    With ``order`` views_first the balance sees originals and views. With balance_first it sees originals only, and
    views are drawn of all; the classes reach the same size either way. That order knows no leaky split.
    """
    steps = [output.with_name(f".{step}.{output.name}") for step in ("first", "second")]
    show, fill = (partial(step, params=params, seed=seed) for step in (_draw_views, _fill_up))
    try:
        if params.order == "views_first":
            table = show(plan_views(training, params=params), images=cells, output=steps[0])
            return fill(table, images=steps[0], output=output)
        table = show(training[training["kept"]], images=cells, output=steps[0])
        table = fill(table, images=steps[0], output=steps[1])
        plan = plan_views(table.assign(position=table.index, kept=True), params=params)
        return show(plan, images=steps[1], output=output)
    finally:
        for step in steps:
            step.unlink(missing_ok=True)


def _draw_views(plan: pd.DataFrame, *, images: Path, output: Path, params: AugmentParams, seed: int) -> pd.DataFrame:
    """Write to ``output`` what ``plan`` shows of ``images``: the views drawn, the others as they are."""
    with written_aside(output) as aside:
        create_images(aside, shape=(len(plan), *read_images(images).shape[1:]))
        fill = partial(draw, images=images, output=aside, params=params, seed=seed)
        blocks = math.ceil(len(plan) / _AT_ONCE)
        for _ in map_parallel(fill, _tasks(plan), total=blocks, description="augment", unit="block", batch_size=1):
            pass
    return plan[_COLUMNS].reset_index(drop=True)


def _tasks(plan: pd.DataFrame) -> Iterator[list[Shown]]:
    """Yield what `draw` is to write, block by block."""
    for start in range(0, len(plan), _AT_ONCE):
        part = plan[start : start + _AT_ONCE]
        columns = part[["kind", "id", "partner", "copy"]].to_numpy().tolist()
        keys = [_view_key(*names) if kind == "view" else () for kind, *names in columns]
        yield list(map(Shown, range(start, start + len(part)), part["position"].tolist(), keys))


def _view_key(identifier: str, partner: str, copy: int) -> tuple[str | int, ...]:
    """Return what keys the draws of a view: the image, its partner if it is blended of two, and the view's number."""
    return (identifier, partner, copy) if partner else (identifier, copy)


def _fill_up(table: pd.DataFrame, *, images: Path, output: Path, params: AugmentParams, seed: int) -> pd.DataFrame:
    """Write to ``output`` the ``images``, row i of ``table`` for image i, and those that balance the classes.

    The file ``images`` becomes part of ``output``.
    """
    present = read_images(images)
    fillings, filled = _balance(table, present, params=params, seed=seed)
    with image_writer(output, shape=present.shape[1:], onto=images) as append:
        for image in filled:
            append(image)
    return pd.concat([table, fillings], ignore_index=True)


def _balance(
    table: pd.DataFrame, images: Image, *, params: AugmentParams, seed: int
) -> tuple[pd.DataFrame, Iterator[Image]]:
    """Return the rows that bring every class to the same size, and their images."""
    counts = table["label"].value_counts()
    targets = dict.fromkeys(sorted(counts.index), _target(int(counts.max()), params=params))
    labels = table["label"].to_numpy(dtype=str)
    if params.balance in SAMPLERS:
        plan = plan_smote(
            images,
            labels,
            targets=targets,
            neighbours=params.neighbours,
            seed=seed,
            variant=params.balance,
            space=params.space,
        )
        rows = [
            {"label": name, "kind": "smote", "id": table["id"][first], "partner": table["id"][second], "copy": number}
            for number, (name, first, second, _) in enumerate(plan)
        ]
        return _rows(rows), (np.rint(image).clip(0, 255).astype(np.uint8) for image in blend(images, plan))
    if params.balance == "repeat":
        picks = np.concatenate(
            [_repetitions(labels, name=name, target=target, seed=seed) for name, target in targets.items()]
        )
        rows = [
            {"label": labels[pick], "kind": "repeat", "id": table["id"][pick], "partner": "", "copy": number}
            for number, pick in enumerate(picks)
        ]
        return _rows(rows), (images[pick] for pick in picks)
    return _rows([]), iter(())


def _target(largest: int, *, params: AugmentParams) -> int:
    """Return the size that the balance gives every class: that of the ``largest``, more only where no views will do."""
    wanted = params.target_per_class or 0
    if params.order == "balance_first":
        wanted = 0 if params.copies is None else math.ceil(wanted / (1 + params.copies))
    return max(wanted, largest)


def _rows(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"copy": int})


def _repetitions(labels: NDArray[np.str_], *, name: str, target: int, seed: int) -> NDArray[np.int_]:
    """Return the positions of class ``name`` to repeat: each equally often, the odd ones drawn."""
    members = np.flatnonzero(labels == name)
    rounds, rest = divmod(target - len(members), len(members))
    drawn = generator(seed, "repeat", name).choice(members, size=rest, replace=False)
    return np.concatenate([np.tile(members, rounds), np.sort(drawn)]).astype(int)


def summarise_augmentation(table: pd.DataFrame) -> dict[str, Any]:
    """Return the number of images of each kind in each class."""
    counts = pd.crosstab(table["label"], table["kind"])
    return {
        "images": len(table),
        "classes": {str(name): {kind: int(row[kind]) for kind in counts.columns} for name, row in counts.iterrows()},
    }
