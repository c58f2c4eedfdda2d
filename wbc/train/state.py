"""The records that a training is made of."""

from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

HISTORY = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]


class Examples(NamedTuple):
    """Images, uint8 (images, height, width, 3), or their float32 features, and the class index (examples,) of some.

    Example i is the image at ``positions[i]``; the array of images may be memory-mapped and is read batch by batch.
    """

    images: NDArray[Any]
    positions: NDArray[np.integer]
    labels: NDArray[np.integer]


class Trained(NamedTuple):
    """The model at its best epoch, one row of HISTORY for each epoch from 1, and what the clock said.

    Of several networks the epochs follow one another, and the model has each of them at its own best epoch.
    """

    model: keras.Model
    history: pd.DataFrame
    best_epoch: int
    validation: dict[str, float]  # the model's loss and accuracy on the validation part
    resumed_epochs: int
    images_per_second: float


class Phase(NamedTuple):
    """A stretch of the training: what learns, from what, for how long and how fast, and where its state is kept."""

    learner: keras.Model
    training: Examples
    validation: Examples
    epochs: int  # at most
    learning_rate: float  # after the warm-up
    flips: bool
    checkpoint: Path


class Progress(NamedTuple):
    """How far a training has come: its history, how many epochs of it an earlier try left, seconds of the others."""

    history: pd.DataFrame
    resumed: int
    seconds: float


def best_epoch(history: pd.DataFrame) -> int:
    """Return the first epoch, counted from 1, with the lowest validation loss."""
    return int(history["epoch"].iloc[int(history["val_loss"].argmin())])
