"""What a model makes of some images: one record, and its table."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix


class Predicted(NamedTuple):
    """The true classes of some images and what a model makes of them; its prediction is the most probable class."""

    truth: NDArray[np.integer]  # (images,), indices into the classes
    probabilities: NDArray[np.floating]  # (images, classes)

    @property
    def prediction(self) -> NDArray[np.intp]:
        """The predicted class (images,), an index into the classes, the first of equals."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> NDArray[np.floating]:
        """The probability of the prediction (images,)."""
        return self.probabilities.max(axis=1)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the prediction is the truth (images,)."""
        return self.prediction == self.truth


def count_confusion(
    truth: NDArray[np.integer], probabilities: NDArray[np.floating], *, classes: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Return {truth: {prediction: images}} for the arguments of `evaluate`."""
    counts = confusion_matrix(truth, probabilities.argmax(axis=1), labels=range(len(classes)))
    return {name: dict(zip(classes, map(int, row), strict=True)) for name, row in zip(classes, counts, strict=True)}


def predictions_table(
    identifiers: Sequence[str],
    groups: Sequence[str],
    truth: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    classes: Sequence[str],
) -> pd.DataFrame:
    """Return one row for each image: id, group, truth, prediction, and probability_<CLASS> for each class.

    ``truth`` (images,) holds indices into ``classes``, ``probabilities`` is (images, classes); truth and prediction are
    class names. Probabilities have six decimals, so that the last bits of a computation do not show.
    """
    names = np.asarray(classes)
    rounded = np.asarray(probabilities, dtype=np.float64).round(6)
    return pd.DataFrame(
        {
            "id": identifiers,
            "group": groups,
            "truth": names[truth],
            "prediction": names[np.argmax(probabilities, axis=1)],
            **{f"probability_{name}": rounded[:, index] for index, name in enumerate(classes)},
        }
    )
