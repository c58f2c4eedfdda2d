"""A frozen backbone is run once: its features are kept in a file, and only the head is trained on them."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from wbc.base.files import written_aside
from wbc.data.arrays import Image
from wbc.models.backbone import FEATURES

_BATCH = 32  # images


class Parts(NamedTuple):
    """A model in two parts that share its layers: what the head learns, the whole model knows."""

    body: keras.Model  # images to features
    head: keras.Model  # features to probabilities


def split_at_features(model: keras.Model) -> Parts | None:
    """Return the parts of ``model`` before and behind its features, None for a model without a backbone."""
    if FEATURES not in {layer.name for layer in model.layers}:
        return None
    features = model.get_layer(FEATURES).output
    return Parts(keras.Model(model.input, features), keras.Model(features, model.output))


def extract_features(
    body: keras.Model, images: Image, *, positions: NDArray[np.integer], path: Path
) -> NDArray[np.float32]:
    """Return what ``body`` makes of the images at ``positions``, float32, memory-mapped from the .npy at ``path``.

    ``images`` (images, height, width, 3), uint8, may be memory-mapped as well.

    The file is written batch by batch, unless an earlier try has left it there whole.
    """
    if not path.exists():
        shape = (len(positions), *body.output_shape[1:])
        with written_aside(path) as aside:
            features = np.lib.format.open_memmap(aside, mode="w+", dtype=np.float32, shape=shape)
            for start in tqdm(range(0, len(positions), _BATCH), desc="features", unit="batch", disable=None):
                batch = np.asarray(images[positions[start : start + _BATCH]])
                features[start : start + len(batch)] = body.predict_on_batch(batch)
            features.flush()
    return np.load(path, mmap_mode="r")
