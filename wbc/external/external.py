"""Tests a trained model on a source that it has learnt nothing from: what its own photographs show is left out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wbc.base.names import require_harmless
from wbc.base.params import Section
from wbc.clean.cleaning import clean
from wbc.clean.params import CleanParams
from wbc.data.arrays import read_images
from wbc.data.tables import SPLITS, UNUSED
from wbc.external.params import ExternalParams
from wbc.inference.inference import predict
from wbc.scores.predictions import predictions_table
from wbc.scores.scores import evaluate_with_intervals
from wbc.sources.groups import supply_groups
from wbc.sources.registry import Source
from wbc.twins import find_links

_PARTS = (*SPLITS, UNUSED)


class Outcome(NamedTuple):
    """What a model made of a source: its scores as written to metrics/external.json, and a row for each record."""

    scores: dict[str, Any]
    images: pd.DataFrame

    def __str__(self) -> str:
        known, unknown, seen = (self.scores[name] for name in ("known", "unknown", "seen"))
        parts = (
            [f"{known['images']} images, accuracy {known['accuracy']:.3f}"] if known else ["no image of a known class"]
        )
        parts += [f"{sum(called.values())} {label}, which the model does not know" for label, called in unknown.items()]
        if seen is None:
            parts.append("not compared with the model's own photographs, for clean.twins is false")
        else:
            parts += [f"{count} left out, which show what is in the {part} part" for part, count in seen.items()]
        return "; ".join(parts)


def evaluate_source(
    source: Source,
    *,
    source_params: Section,
    external: ExternalParams,
    clean_params: CleanParams,
    model: keras.Model,
    classes: list[str],
    own: pd.DataFrame,
) -> Outcome:
    """Bring the source, clean it as the training data were, and let ``model`` call every image, whatever its class.

    ``own`` are the photographs of the model's split: a table SPLIT of wbc.data.tables with the column path. Images that
    show a field of theirs, or are in a group with one that does, are left out, unless ``clean_params.twins`` is false.

    The scores hold ``known``, those of wbc.scores.scores.evaluate_with_intervals on the images of ``classes`` after
    ``external.rename``, None without such images; ``unknown``, for each other class what its images are called;
    ``seen``, how many are left out by the part of the split that shows them, None where nobody looked; and ``dropped``,
    by reason. Classes that training leaves out are not left out here. The images have ``left_out``, empty for those
    that were called, and ``detail``. Raises what the source and clean raise.
    """
    window = clean_params.window if external.window is None else external.window
    params = clean_params.model_copy(update={"exclude": (), "thin": {}, "window": window})
    with TemporaryDirectory() as folder:
        raw, cells = Path(folder) / "raw", Path(folder) / "cells.npy"
        raw.mkdir()
        records = source.bring(raw, params=source_params)
        if external.groups:
            records = supply_groups(records, params=external.groups)
        require_harmless(records)
        manifest, dropped, _ = clean(records, raw=raw, cells=cells, params=params, seed=0)
        manifest["label"] = manifest["label"].replace(external.rename)
        seen = find_seen(manifest, raw=raw, own=own) if params.twins else None
        called = manifest if seen is None else manifest.drop(seen.index)
        probabilities = (
            predict(model, read_images(cells), positions=called.index)
            if len(called)
            else np.empty((0, len(classes)), np.float32)
        )
    scores, predictions = _score(called, probabilities, classes=classes)
    scores["seen"] = None if seen is None else _count(seen["part"], order=_PARTS)
    scores["dropped"] = _count(dropped["reason"])
    return Outcome(scores, pd.concat([predictions.assign(left_out="", detail=""), *_left_out(seen, dropped)]))


def find_seen(manifest: pd.DataFrame, *, raw: Path, own: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``manifest``, a table MANIFEST, whose group shows what a photograph of ``own`` does.

    Added are ``part``, the first of train, validation, test and unused that the photograph or one of its group is in,
    and ``like``, its id. ``manifest``'s files are below ``raw``; ``own`` is as for `evaluate_source`.
    """
    links = find_links(
        [raw / file for file in manifest["file"]],
        own["path"].tolist(),
        new_groups=manifest["group"].tolist(),
        old_groups=own["group"].tolist(),
    )
    rank = own["split"].map(_PARTS.index).groupby(own["group"]).transform("min").to_numpy()
    first: dict[str, tuple[int, str]] = {}  # of each group of the manifest: the part, and the id of the photograph
    for new, old in links:
        group, found = manifest["group"].iloc[new], (int(rank[old]), own["id"].iloc[old])
        first[group] = min(first.get(group, found), found)
    seen = manifest[manifest["group"].isin(list(first))]
    ranks, likes = zip(*seen["group"].map(first), strict=True) if len(seen) else ((), ())
    return seen.assign(part=[_PARTS[one] for one in ranks], like=likes)


def _score(
    called: pd.DataFrame, probabilities: NDArray[np.float32], *, classes: list[str]
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the scores ``known`` and ``unknown`` of the images ``called``, and their table of predictions."""
    labels = called["label"]
    unknown = sorted(set(labels) - set(classes))
    codes = pd.Categorical(labels, [*classes, *unknown]).codes.astype(int)
    known = codes < len(classes)
    names = pd.Series(np.asarray(classes)[probabilities.argmax(axis=1)], index=called.index)
    groups = called["group"]
    scores = {
        "known": evaluate_with_intervals(
            codes[known], probabilities[known], groups=groups[known].tolist(), classes=classes
        )
        if known.any()
        else None,
        "unknown": {name: _count(names[labels == name]) for name in unknown},
    }
    padded = np.pad(probabilities, [(0, 0), (0, len(unknown))])  # a class it does not know has no chance
    return scores, predictions_table(called["id"].tolist(), groups.tolist(), codes, padded, [*classes, *unknown])


def _left_out(seen: pd.DataFrame | None, dropped: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the rows of the images that the model did not call, with the reason why."""
    if seen is not None and len(seen):
        yield seen[["id", "group"]].assign(truth=seen["label"], left_out="seen_in_" + seen["part"], detail=seen["like"])
    if len(dropped):
        yield dropped.rename(columns={"category": "truth", "reason": "left_out"})


def _count(names: pd.Series, *, order: Sequence[str] = ()) -> dict[str, int]:
    """Return how often each name occurs, in the given ``order`` or sorted."""
    counts = Counter(names)
    return {name: counts[name] for name in order or sorted(counts) if counts[name]}
