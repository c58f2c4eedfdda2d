"""SIFT keypoints (Lowe 2004) of photographs at one common size, kept in files.

Workers read what they need from the files and map nothing, so that memory does not grow with the set.
"""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wbc.data.arrays import Image
from wbc.photographs.decoding import read_photograph
from wbc.photographs.quality import black_corners
from wbc.tools.parallel import map_parallel

Floats = NDArray[np.float32]

_AT_ONCE = 8  # photographs handed to a worker

SIDE = 240  # px, the longer side at which photographs are compared
_KEYPOINTS = 256  # of one photograph, the strongest
_CONTRAST = 0.01  # of a keypoint; below OpenCV's 0.04, for stained cells have soft edges
_EDGE = 20.0  # ratio of curvatures beyond which a keypoint is a mere edge

# The descriptor of a mirrored photograph: 4 x 4 places of 8 directions, each, in the keypoint's own upright frame.
MIRROR = np.arange(128).reshape(4, 4, 8)[::-1][:, :, -np.arange(8) % 8].ravel()


class Keypoints(NamedTuple):
    """The keypoints of one photograph at the compared size."""

    places: Floats  # (keypoints, 4): x and y in px, diameter in px, angle in degrees
    descriptors: NDArray[np.uint8]  # (keypoints, 128)


class Seen(NamedTuple):
    """What is kept of one photograph."""

    keypoints: Keypoints
    image: Image  # (height, width) at the compared size; 0 where nothing can be seen
    size: tuple[int, int]  # px of the file, width and height


class Index(NamedTuple):
    """What is kept of all photographs, in files of ``folder`` and two small tables."""

    folder: Path
    starts: NDArray[np.int64]  # (photographs + 1,): the first keypoint of each, at last their number
    sizes: NDArray[np.int64]  # (photographs, 2): width and height in px of the files

    def keypoints(self, photograph: int) -> Keypoints:
        """Return the keypoints of one photograph."""
        return Keypoints(self.places(photograph, photograph + 1), self.descriptors(photograph, photograph + 1))

    def places(self, first: int, end: int) -> Floats:
        """Return the places (keypoints, 4) of the photographs from ``first`` to before ``end``."""
        return self._read("places", np.float32, 4, first, end)

    def descriptors(self, first: int, end: int) -> NDArray[np.uint8]:
        """Return the descriptors (keypoints, 128) of the photographs from ``first`` to before ``end``."""
        return self._read("descriptors", np.uint8, 128, first, end)

    def image(self, photograph: int) -> Image:
        """Return the photograph (height, width) at the compared size, 0 where nothing can be seen."""
        width, height = compared_size(*self.sizes[photograph].tolist())
        # Every photograph takes a square of the file, so that its place needs no table; the rest is a hole.
        pixels = np.fromfile(self.folder / "images", np.uint8, count=width * height, offset=photograph * SIDE * SIDE)
        return pixels.reshape(height, width)

    def _read(self, name: str, dtype: type, columns: int, first: int, end: int) -> NDArray:
        start, stop = self.starts[first], self.starts[end]
        offset = int(start) * columns * np.dtype(dtype).itemsize
        values: NDArray = np.fromfile(self.folder / name, dtype, count=int(stop - start) * columns, offset=offset)
        return values.reshape(-1, columns)


def build_index(files: Sequence[Path | str], *, folder: Path) -> Index:
    """Find the keypoints of all photographs and keep them in ``folder``, which `open_index` opens again."""
    counts, sizes = array("q", [0]), array("q")  # numbers, not objects: of many photographs these take much memory
    with (
        (folder / "places").open("wb") as place_file,
        (folder / "descriptors").open("wb") as descriptor_file,
        (folder / "images").open("wb") as image_file,
    ):
        for number, seen in enumerate(
            map_parallel(find_keypoints, files, description="keypoints", batch_size=_AT_ONCE)
        ):
            place_file.write(seen.keypoints.places.tobytes())
            descriptor_file.write(seen.keypoints.descriptors.tobytes())
            image_file.seek(number * SIDE * SIDE)
            image_file.write(seen.image.tobytes())
            counts.append(len(seen.keypoints.places))
            sizes.extend(seen.size)
    np.save(folder / "starts.npy", np.cumsum(counts, dtype=np.int64))
    np.save(folder / "sizes.npy", np.array(sizes, np.int64).reshape(-1, 2))
    return open_index(folder)


def open_index(folder: Path) -> Index:
    """Return the index in ``folder``."""
    return Index(folder, np.load(folder / "starts.npy"), np.load(folder / "sizes.npy"))


def find_keypoints(path: Path | str) -> Seen:
    """Return the photograph at ``path`` and its strongest keypoints, none where it does not decode.

    The green channel is taken, which both stains absorb. Black corners of a rotated copy count as unseen.
    """
    photograph = read_photograph(Path(path))
    if photograph is None:
        return Seen(_keypoints([], None), np.zeros((SIDE, SIDE), np.uint8), (SIDE, SIDE))
    height, width = photograph.shape[:2]
    shrinks = max(height, width) > SIDE
    small = cv2.resize(
        photograph, compared_size(width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    green, visible = np.ascontiguousarray(small[:, :, 1]), _visible(small)
    detector = cv2.SIFT.create(nfeatures=_KEYPOINTS, contrastThreshold=_CONTRAST, edgeThreshold=_EDGE)
    keypoints = _keypoints(*detector.detectAndCompute(green, visible))
    return Seen(keypoints, np.where(visible > 0, np.maximum(green, 1), 0).astype(np.uint8), (width, height))


def compared_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height in px at which a photograph of ``width`` and ``height`` is compared."""
    scale = SIDE / max(width, height)
    return max(round(scale * width), 1), max(round(scale * height), 1)


def _visible(image: Image) -> NDArray[np.uint8]:
    """Return a mask (height, width), 255 but for black corners and a few pixels round them."""
    return 255 * (1 - cv2.dilate(black_corners(image).astype(np.uint8), np.ones((7, 7), np.uint8)))


def _keypoints(found: Sequence[cv2.KeyPoint], descriptors: Floats | None) -> Keypoints:
    places = np.array([(*point.pt, point.size, point.angle) for point in found], np.float32).reshape(-1, 4)
    if descriptors is None:
        descriptors = np.empty((0, 128), np.float32)
    return Keypoints(places[:_KEYPOINTS], descriptors[:_KEYPOINTS].astype(np.uint8))


def mirror(keypoints: Keypoints, *, width: int) -> Keypoints:
    """Return the keypoints of the photograph, ``width`` px wide, mirrored left to right."""
    x, y, size, angle = keypoints.places.T
    places = np.stack([width - 1 - x, y, size, mirrored_angles(angle)], axis=1)
    return Keypoints(places, keypoints.descriptors[:, MIRROR])


def mirrored_angles(angles: Floats) -> Floats:
    """Return the angles in degrees after mirroring left to right."""
    return (180 - angles) % 360


def root(descriptors: NDArray[np.uint8]) -> Floats:
    """Return RootSIFT (keypoints, 128): unit vectors whose products are Bhattacharyya coefficients.

    Arandjelovic & Zisserman 2012.
    """
    values = descriptors.astype(np.float32)
    return np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1))
