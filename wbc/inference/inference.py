"""Applies a saved model to images."""

import time
from pathlib import Path

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from wbc.data.arrays import Image

_TIMED = 32  # images, two whole batches: more would double the time of the stage


def load_model(path: Path) -> keras.Model:
    """Return the model at ``path``: uint8 RGB (batch, height, width, 3) in, probabilities (batch, classes) out."""
    return keras.saving.load_model(path, compile=False)


def predict(model: keras.Model, images: Image, *, positions: ArrayLike, batch_size: int = 16) -> NDArray[np.float32]:
    """Return the probabilities (positions, classes) of the ``images`` at ``positions``.

    ``images`` (images, height, width, 3), uint8, may be memory-mapped; one batch at a time is read.
    """
    chosen = np.asarray(positions)
    starts = tqdm(range(0, len(chosen), batch_size), desc="predict", unit="batch", disable=None)
    return np.concatenate(
        [model.predict_on_batch(np.asarray(images[chosen[start : start + batch_size]])) for start in starts]
    )


def measure_speed(model: keras.Model, images: Image, *, positions: ArrayLike) -> float:
    """Return images per second of ``predict`` on a few of the ``positions``, for a model that has predicted before.

    Its first batch of a size takes seconds more, in which TensorFlow prepares it.
    """
    some = np.asarray(positions)[:_TIMED]
    started = time.perf_counter()
    predict(model, images, positions=some)
    return len(some) / (time.perf_counter() - started)
