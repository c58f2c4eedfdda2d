"""Fills up the training part: random views of its images, then SMOTE or repetition for small classes."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wbc.arrays import Image, image_writer, read_images
from wbc.draws import generator
from wbc.parallel import map_parallel
from wbc.params.augment import AugmentParams
from wbc.smote import SAMPLERS, blend, plan_smote
from wbc.views import render


def choose_images(split: pd.DataFrame, *, leaky: bool) -> pd.DataFrame:
    """Return id, label, position and original of the images in ``split`` (wbc.manifest.SPLIT) of which views are drawn.

    They are those of the training part. Where the split is ``leaky`` the others lend their views too, but are not
    ``original`` images of the training part: as if the views had been drawn before the split.
    """
    images = split.assign(position=split.index, original=split["split"] == "train")
    return images if leaky else images[images["original"]]


def plan_views(training: pd.DataFrame, *, params: AugmentParams) -> pd.DataFrame:
    """Return the originals and the views to draw of them, as rows of wbc.manifest.TRAIN.

    ``training`` has the columns id, label and original. A class gets views, one of each image in turn, until it has
    ``target_per_class`` images or each image has ``copies`` views.
    """
    originals = training[training["original"]]
    parts = [pd.DataFrame({"label": originals["label"], "kind": "original", "id": originals["id"], "copy": 0})]
    for name, members in training.groupby("label"):
        ceiling = np.inf if params.copies is None else params.copies * len(members)
        wanted = ceiling if params.target_per_class is None else max(params.target_per_class - len(members), 0)
        turns = np.arange(int(min(wanted, ceiling)))
        identifiers = members["id"].to_numpy()[turns % len(members)]
        parts.append(
            pd.DataFrame({"label": name, "kind": "view", "id": identifiers, "copy": 1 + turns // len(members)})
        )
    plan = pd.concat(parts, ignore_index=True)
    return plan.assign(partner="")[["label", "kind", "id", "partner", "copy"]]


def augment(training: pd.DataFrame, *, cells: Path, output: Path, params: AugmentParams, seed: int) -> pd.DataFrame:
    """Write the training images, their views and the images that balance the classes to ``output``.

    ``training`` is what `choose_images` returns, ``position`` the row in ``cells``. Returns the table
    wbc.manifest.TRAIN, row i for image i. The pixels of a view depend only on (seed, id, copy).
    """
    views = plan_views(training, params=params)
    positions = training.set_index("id")["position"]
    tasks = list(zip(views["id"], views["copy"], positions[views["id"]], strict=True))
    rendered = partial(render, cells=cells, params=params, seed=seed)
    viewed = output.with_name(f".views.{output.name}")
    try:
        with image_writer(viewed, shape=read_images(cells).shape[1:]) as append:
            for image in map_parallel(rendered, tasks, description="augment"):
                append(image)
        images = read_images(viewed)
        fillings, filled = _balance(views, images, params=params, seed=seed)
        with image_writer(output, shape=images.shape[1:]) as append:
            for image in images:
                append(image)
            for image in filled:
                append(image)
    finally:
        viewed.unlink(missing_ok=True)
    return pd.concat([views, fillings], ignore_index=True)


def _balance(
    views: pd.DataFrame, images: Image, *, params: AugmentParams, seed: int
) -> tuple[pd.DataFrame, Iterator[Image]]:
    """Return the rows that bring every class to the target, or to the largest class, and their images."""
    counts = views["label"].value_counts()
    target = max(params.target_per_class or 0, int(counts.max()))
    targets = dict.fromkeys(sorted(counts.index), target)
    labels = views["label"].to_numpy(dtype=str)
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
            {"label": name, "kind": "smote", "id": views["id"][first], "partner": views["id"][second], "copy": number}
            for number, (name, first, second, _) in enumerate(plan)
        ]
        return _rows(rows), (np.rint(image).clip(0, 255).astype(np.uint8) for image in blend(images, plan))
    if params.balance == "repeat":
        picks = np.concatenate([_repetitions(labels, name=name, target=target, seed=seed) for name in targets])
        rows = [
            {"label": labels[pick], "kind": "repeat", "id": views["id"][pick], "partner": "", "copy": number}
            for number, pick in enumerate(picks)
        ]
        return _rows(rows), (images[pick] for pick in picks)
    return _rows([]), iter(())


def _rows(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["label", "kind", "id", "partner", "copy"]).astype({"copy": int})


def _repetitions(labels: NDArray[np.str_], *, name: str, target: int, seed: int) -> NDArray[np.int_]:
    """Return the positions of class ``name`` to repeat: each equally often, the odd ones drawn."""
    members = np.flatnonzero(labels == name)
    rounds, rest = divmod(target - len(members), len(members))
    drawn = generator(seed, "repeat", name).choice(members, size=rest, replace=False)
    return np.concatenate([np.tile(members, rounds), np.sort(drawn)]).astype(int)


def summarise(table: pd.DataFrame) -> dict[str, Any]:
    """Return the number of images of each kind in each class."""
    counts = pd.crosstab(table["label"], table["kind"])
    return {
        "images": len(table),
        "classes": {str(name): {kind: int(row[kind]) for kind in counts.columns} for name, row in counts.iterrows()},
    }
