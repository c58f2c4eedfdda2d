"""Applies a saved model to images."""

import time
from pathlib import Path

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from wbc.arrays import Image
from wbc.orientations import count_orientations, orient

_TIMED = 256  # images


def load_model(path: Path) -> keras.Model:
    """Return the model at ``path``: uint8 RGB (batch, height, width, 3) in, probabilities (batch, classes) out."""
    return keras.saving.load_model(path, compile=False)


def predict(
    model: keras.Model, images: Image, *, positions: ArrayLike, views: int = 1, batch_size: int = 64
) -> NDArray[np.float32]:
    """Return the probabilities (positions, classes) of the ``images`` at ``positions``.

    ``images`` (images, height, width, 3), uint8, may be memory-mapped; one batch at a time is read. With ``views`` each
    is shown in its first so many orientations and the probabilities are averaged.
    Raises ValueError for more orientations than the images have.
    """
    if views > count_orientations(images):
        raise ValueError(f"oblong images have 4 views, not {views}: set evaluate.views to 4 or 1")
    chosen = np.asarray(positions)
    starts = tqdm(range(0, len(chosen), batch_size), desc="predict", unit="batch", disable=None)
    return np.concatenate(
        [_predict_batch(model, np.asarray(images[chosen[start : start + batch_size]]), views=views) for start in starts]
    )


def measure_speed(model: keras.Model, images: Image, *, positions: ArrayLike, views: int = 1) -> float:
    """Return images per second of ``predict`` on some of the ``positions``, after a first call that prepares it."""
    some = np.asarray(positions)[:_TIMED]
    predict(model, images, positions=some, views=views)
    started = time.perf_counter()
    predict(model, images, positions=some, views=views)
    return len(some) / (time.perf_counter() - started)


def _predict_batch(model: keras.Model, batch: Image, *, views: int) -> NDArray[np.float32]:
    turned = (orient(batch, positions=np.full(len(batch), view)) for view in range(views))
    return np.mean([model.predict_on_batch(images) for images in turned], axis=0)
