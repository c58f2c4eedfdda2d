"""SMOTE as a plan: imbalanced-learn decides which images to blend, this module blends them one by one."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from imblearn.over_sampling import SMOTE
from numpy.typing import NDArray

from wbc.arrays import Image

_ROWS, _COLUMNS = 1024, 2048  # of the images' table at a time, to bound the memory of distances


class Blend(NamedTuple):
    """A synthetic image: ``step`` of the way from image ``first`` to image ``second``, of class ``label``."""

    label: str
    first: int
    second: int
    step: float


class _NearestImages:
    """Nearest neighbours among the uint8 images at some positions, in hardly more memory than these images take.

    Squared distances between pixels of 0 to 255 are whole numbers far below 2**53, hence exact in float64 whatever the
    order of summation: they can be summed block by block and still rank as scikit-learn's do.
    """

    def __init__(self, images: Image, *, count: int) -> None:
        self.images = images
        self.count = count

    def fit(self, positions: NDArray[np.int_]) -> None:
        """Take the images at ``positions`` (n, 1)."""
        self.pixels = self.images[positions.ravel()].reshape(len(positions), -1)

    def kneighbors(self, positions: NDArray[np.int_], return_distance: bool = False) -> NDArray[np.int_]:
        """Return for each fitted image the places (n, ``count``) of its nearest, itself first."""
        places = range(len(self.pixels))
        return np.concatenate([self._nearest(places[row : row + _ROWS]) for row in places[::_ROWS]])

    def _nearest(self, rows: range) -> NDArray[np.int_]:
        squares, products = np.zeros(len(self.pixels)), np.zeros((len(rows), len(self.pixels)))
        for column in range(0, self.pixels.shape[1], _COLUMNS):
            block = self.pixels[:, column : column + _COLUMNS].astype(np.float64)
            squares += np.einsum("ij,ij->i", block, block)
            products += block[rows.start : rows.stop] @ block.T
        distances = squares[rows.start : rows.stop, None] + squares - 2 * products
        distances[np.arange(len(rows)), rows] = -1  # an image is nearest to itself, even if it has a copy
        return np.argsort(distances, axis=1, kind="stable")[:, : self.count]


class _PlanningSMOTE(SMOTE):
    """imbalanced-learn's SMOTE over positions of images; it notes the blends instead of making them."""

    def __init__(self, images: Image, **options: Any) -> None:
        super().__init__(**options)
        self.images = images
        self.plan: list[Blend] = []

    def _validate_estimator(self) -> None:
        self.nn_k_ = _NearestImages(self.images, count=self.k_neighbors + 1)

    def _generate_samples(self, X, nn_data, nn_num, rows, cols, steps, y_type=None, y=None):  # type: ignore[no-untyped-def]  # noqa: N803
        first, second = X[rows].ravel(), nn_data[nn_num[rows, cols]].ravel()
        self.plan += map(Blend, [str(y_type)] * len(rows), first.tolist(), second.tolist(), steps.ravel().tolist())
        return X[:0]


def plan_smote(
    images: Image, labels: NDArray[np.str_], *, targets: Mapping[str, int], neighbours: int, seed: int
) -> list[Blend]:
    """Return the blends that bring each class in ``targets`` to its number of images.

    ``images`` is uint8 (images, height, width, channels) and may be memory-mapped. The plan is that of
    imbalanced-learn's SMOTE (Chawla et al. 2002) on the same pixels as float32, to the last bit.
    Raises ValueError for a class with fewer than ``neighbours`` + 1 images, before anything is computed.
    """
    counts = {name: int((labels == name).sum()) for name in targets}
    scarce = {name: count for name, count in counts.items() if count < targets[name] and count <= neighbours}
    if scarce:
        most = min(scarce.values()) - 1
        fewer = f"augment.neighbours to at most {most}, " if most else ""  # a single image has no neighbour
        raise ValueError(
            f"SMOTE with {neighbours} neighbours needs {neighbours + 1} images of a class, but "
            + ", ".join(f"{name} has {count}" for name, count in scarce.items())
            + f".\nSet {fewer}augment.balance to repeat, or raise augment.copies."
        )
    sampler = _PlanningSMOTE(images, sampling_strategy=dict(targets), k_neighbors=neighbours, random_state=seed)
    sampler.fit_resample(np.arange(len(images))[:, None], labels)
    return sampler.plan


def blend(images: Image, plan: list[Blend]) -> Iterator[NDArray[np.float32]]:
    """Yield the planned images one by one, float32 in 0 to 255, with the arithmetic of imbalanced-learn."""
    for _, first, second, step in plan:
        start = images[first].astype(np.float32)
        difference = images[second].astype(np.float32) - start
        yield (start + np.float64(step) * difference).astype(np.float32)
