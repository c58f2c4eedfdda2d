"""Tests a trained model on a source that it has learnt nothing from."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from wbc.arrays import read_images
from wbc.cleaning import clean
from wbc.inference import predict
from wbc.params.base import Section
from wbc.params.clean import CleanParams
from wbc.params.evaluate import ExternalParams
from wbc.scores import evaluate, predictions_table
from wbc.sources.registry import Source


class Outcome(NamedTuple):
    """What a model made of a source: its scores as written to metrics/external.json, and a row for each image."""

    scores: dict[str, Any]
    predictions: pd.DataFrame

    def __str__(self) -> str:
        known, unknown = self.scores["known"], self.scores["unknown"]
        parts = (
            [f"{known['images']} images, accuracy {known['accuracy']:.3f}"] if known else ["no image of a known class"]
        )
        parts += [f"{sum(called.values())} {label}, which the model does not know" for label, called in unknown.items()]
        return "; ".join(parts)


def evaluate_source(
    source: Source,
    *,
    source_params: Section,
    external: ExternalParams,
    clean_params: CleanParams,
    model: keras.Model,
    classes: list[str],
) -> Outcome:
    """Bring the source, clean it as the training data were, and let ``model`` call every image, whatever its class.

    The scores hold ``known``, those of wbc.scores.evaluate on the images of ``classes`` after ``external.rename``, None
    without such images; ``unknown``, for each other class what its images are called; and ``dropped``, by reason.
    Classes that training leaves out are not left out here. Raises what the source and clean raise.
    """
    window = clean_params.window if external.window is None else external.window
    params = clean_params.model_copy(update={"exclude": (), "thin": {}, "window": window})
    with TemporaryDirectory() as folder:
        raw, cells = Path(folder) / "raw", Path(folder) / "cells.npy"
        raw.mkdir()
        records = source.bring(raw, params=source_params)
        manifest, dropped, _ = clean(records, raw=raw, cells=cells, params=params, seed=0)
        probabilities = predict(model, read_images(cells), positions=manifest.index)
    labels = manifest["label"].replace(external.rename)
    unknown = sorted(set(labels) - set(classes))
    codes = pd.Categorical(labels, [*classes, *unknown]).codes
    known = codes < len(classes)
    called = np.asarray(classes)[probabilities.argmax(axis=1)]
    scores = {
        "known": evaluate(codes[known], probabilities[known], classes=classes) if known.any() else None,
        "unknown": {name: _count(called[labels == name]) for name in unknown},
        "dropped": _count(dropped["reason"].to_numpy()),
    }
    padded = np.pad(probabilities, [(0, 0), (0, len(unknown))])  # a class it does not know has no chance
    identifiers, groups = manifest["id"].tolist(), manifest["group"].tolist()
    return Outcome(scores, predictions_table(identifiers, groups, codes, padded, [*classes, *unknown]))


def _count(names: np.ndarray) -> dict[str, int]:
    return {
        str(name): int(count) for name, count in zip(*np.unique(names.astype(str), return_counts=True), strict=True)
    }
