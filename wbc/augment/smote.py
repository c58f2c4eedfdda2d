"""SMOTE as a plan: imbalanced-learn decides which images to blend, this module blends them one by one."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
from imblearn.over_sampling import SMOTE, SVMSMOTE, BorderlineSMOTE
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from wbc.data.arrays import Image

_ROWS, _COLUMNS = 1024, 2048  # of the images' table at a time, to bound the memory of distances
_BORDER = 10  # neighbours of an image that tell whether classes meet there, imbalanced-learn's default
_SIDE, _COMPONENTS = 32, 50  # px of the images whose principal components are taken, and how many
_MORE = "or have more views drawn first, by augment.copies and augment.order"


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
        self.n_neighbors = count  # imbalanced-learn reads it

    def fit(self, positions: NDArray[np.int_]) -> None:
        """Take the images at ``positions`` (n, 1), in rising order."""
        self.positions = positions.ravel()
        self.pixels = self.images[self.positions].reshape(len(positions), -1)

    def kneighbors(self, positions: NDArray[np.int_], return_distance: bool = False) -> NDArray[np.int_]:
        """Return for each of some fitted ``positions`` (n, 1) the places (n, count) of its nearest, itself first."""
        places = np.searchsorted(self.positions, positions.ravel())
        return np.concatenate([self._nearest(places[row : row + _ROWS]) for row in range(0, len(places), _ROWS)])

    def _nearest(self, rows: NDArray[np.int_]) -> NDArray[np.int_]:
        squares, products = np.zeros(len(self.pixels)), np.zeros((len(rows), len(self.pixels)))
        for column in range(0, self.pixels.shape[1], _COLUMNS):
            block = self.pixels[:, column : column + _COLUMNS].astype(np.float64)
            squares += np.einsum("ij,ij->i", block, block)
            products += block[rows] @ block.T
        distances = squares[rows, None] + squares - 2 * products
        distances[np.arange(len(rows)), rows] = -1  # an image is nearest to itself, even if it has a copy
        return np.argsort(distances, axis=1, kind="stable")[:, : self.n_neighbors]


class _NearestPoints:
    """The same by points (images, dimensions) that stand for the images."""

    def __init__(self, points: NDArray[np.float32], *, count: int) -> None:
        self.points = points
        self.n_neighbors = count
        self.search = NearestNeighbors(n_neighbors=count)

    def fit(self, positions: NDArray[np.int_]) -> None:
        """Take the points at ``positions`` (n, 1)."""
        self.search.fit(self.points[positions.ravel()])

    def kneighbors(self, positions: NDArray[np.int_], return_distance: bool = False) -> NDArray[np.int_]:
        """Return for each of some fitted ``positions`` (n, 1) the places (n, count) of its nearest, itself first."""
        return self.search.kneighbors(self.points[positions.ravel()], return_distance=False)


class _SupportVectors:
    """The support vectors of a machine that tells the points of the classes apart."""

    def __init__(self, points: NDArray[np.float32] | None, *, seed: int) -> None:
        self.points = points
        self.seed = seed

    def fit(self, positions: NDArray[np.int_], labels: NDArray[np.str_]) -> None:
        """Find ``support_`` (vectors,), places in ``positions`` (n, 1). Raises ValueError without points."""
        if self.points is None:
            raise ValueError("svm_smote cannot learn from single pixels: set augment.space to pca")
        self.support_ = SVC(gamma="scale", random_state=self.seed).fit(self.points[positions.ravel()], labels).support_


class _Planner:
    """Makes a sampler of imbalanced-learn work on positions of images and note the blends instead of making them.

    A sampler is handed X, one column of positions in place of pixels, and goes its way: it draws images of a class,
    asks for the neighbours of each, draws one of them and a step towards it. Two of its private methods are replaced.
    ``_validate_estimator`` makes the searches for neighbours; ours look the pixels up by position.
    ``_generate_samples`` blends the pixels that were drawn; ours writes the positions and the step into ``plan`` and
    returns no image. For example, with X [[0], [1], [2], [3]] of one class, image 2 drawn, its neighbour 0 and the step
    0.25:

        plan == [Blend(label="A", first=2, second=0, step=0.25)]
    """

    def __init__(self, images: Image, *, points: NDArray[np.float32] | None, **options: Any) -> None:
        super().__init__(**options)
        self.images = images
        self.points = points
        self.plan: list[Blend] = []

    def _validate_estimator(self) -> None:
        for name in ("k", "m"):  # neighbours to blend with, and those to tell a borderline by
            if count := getattr(self, f"{name}_neighbors", None):
                setattr(self, f"nn_{name}_", self._search(count + 1))
        if hasattr(self, "svm_estimator"):
            self.svm_estimator_ = _SupportVectors(self.points, seed=self.random_state)  # type: ignore[attr-defined]

    def _search(self, count: int) -> _NearestImages | _NearestPoints:
        if self.points is None:
            return _NearestImages(self.images, count=count)
        return _NearestPoints(self.points, count=count)

    def _generate_samples(self, X, nn_data, nn_num, rows, cols, steps, y_type=None, y=None):  # type: ignore[no-untyped-def]  # noqa: N803
        first, second = X[rows].ravel(), nn_data[nn_num[rows, cols]].ravel()
        self.plan += map(Blend, [str(y_type)] * len(rows), first.tolist(), second.tolist(), steps.ravel().tolist())
        return X[:0]


class _PlanningSMOTE(_Planner, SMOTE):
    """Between any image of a class and its neighbours in the class (Chawla et al. 2002)."""


class _PlanningBorderlineSMOTE(_Planner, BorderlineSMOTE):
    """Only from images most of whose neighbours are of other classes (Han et al. 2005)."""


class _PlanningSVMSMOTE(_Planner, SVMSMOTE):
    """Only from support vectors, beyond them where they are safe (Nguyen et al. 2011)."""


SAMPLERS: dict[str, Any] = {
    "smote": _PlanningSMOTE,
    "borderline_smote": _PlanningBorderlineSMOTE,
    "svm_smote": _PlanningSVMSMOTE,
}


def principal_components(images: Image) -> NDArray[np.float32]:
    """Return up to 50 principal components (images, components) of the images at 32x32 px.

    ``images`` is uint8 (images, height, width, 3) and may be memory-mapped. One thread computes them, so that they do
    not depend on the number of cores.
    """
    small = np.stack([cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for image in images])
    pixels = small.reshape(len(small), -1).astype(np.float32)
    few = len(pixels) < pixels.shape[1]  # then the covariance of the pixels is the larger matrix
    reduction = PCA(min(_COMPONENTS, *pixels.shape), svd_solver="full" if few else "covariance_eigh")
    with threadpool_limits(1):
        return reduction.fit_transform(pixels).astype(np.float32)


def plan_smote(
    images: Image,
    labels: NDArray[np.str_],
    *,
    targets: Mapping[str, int],
    neighbours: int,
    seed: int,
    variant: str = "smote",
    space: str = "pixels",
) -> list[Blend]:
    """Return the blends that bring each class in ``targets`` to its number of images.

    ``images`` is uint8 (images, height, width, channels) and may be memory-mapped. The plan is that of
    imbalanced-learn's sampler ``variant``, a key of SAMPLERS, on the same pixels as float32, to the last bit; with
    ``space`` pca, neighbours are those by `principal_components`. A class without a borderline stays as it is,
    and svm_smote falls short of the target where all support vectors are safe or all are not.
    Raises ValueError, before anything is computed, for a class with fewer than ``neighbours`` + 1 images and, unless
    ``variant`` is smote, for fewer than 11 images in all; then for svm_smote on pixels and for a class whose support
    vectors are all noise.
    """
    counts = {name: int((labels == name).sum()) for name in targets}
    scarce = {name: count for name, count in counts.items() if count < targets[name] and count <= neighbours}
    if scarce:
        most = min(scarce.values()) - 1
        fewer = f"augment.neighbours to at most {most}, " if most else ""  # a single image has no neighbour
        raise ValueError(
            f"SMOTE with {neighbours} neighbours needs {neighbours + 1} images of a class, but "
            + ", ".join(f"{name} has {count}" for name, count in scarce.items())
            + f".\nSet {fewer}augment.balance to repeat, {_MORE}."
        )
    if variant != "smote" and len(images) <= _BORDER and any(counts[name] < targets[name] for name in targets):
        raise ValueError(
            f"{variant} looks at {_BORDER} neighbours of an image to see whether classes meet there and needs "
            f"{_BORDER + 1} images, but there are {len(images)}.\nSet augment.balance to smote or repeat, {_MORE}."
        )
    sampler = SAMPLERS[variant](
        images,
        points=principal_components(images) if space == "pca" else None,
        sampling_strategy=dict(targets),
        k_neighbors=neighbours,
        random_state=seed,
    )
    sampler.fit_resample(np.arange(len(images))[:, None], labels)
    return sampler.plan


def blend(images: Image, plan: list[Blend]) -> Iterator[NDArray[np.float32]]:
    """Yield the planned images one by one, float32, with the arithmetic of imbalanced-learn.

    Those of svm_smote may leave 0 to 255.
    """
    for _, first, second, step in plan:
        start = images[first].astype(np.float32)
        difference = images[second].astype(np.float32) - start
        yield (start + np.float64(step) * difference).astype(np.float32)
