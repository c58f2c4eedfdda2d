"""MedMNIST's format (Yang et al. 2023), as of BloodMNIST: one .npz of train_images, train_labels, val_... and so on."""

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import pandas as pd
from numpy.lib import format as npy
from tqdm import tqdm

from wbc.base.names import class_name
from wbc.base.root import project_root
from wbc.data.arrays import Image
from wbc.sources.class_folders import IMAGES, describe_classes
from wbc.sources.params import NpzParams
from wbc.tools.fetch import WEB, fetch, find_fault

PARTS = {"train": "train", "val": "validation", "test": "test"}  # the file's names and ours
_FASTEST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def bring(destination: Path, *, params: NpzParams) -> pd.DataFrame:
    """Fill ``destination``/images with a PNG for each image of the file and return their records.

    Images are read one by one: memory does not grow with their number. What a killed run left is made anew.
    Raises DownloadError, or ValueError for a file that is not of this format.
    """
    archive = _locate(params)
    shutil.rmtree(destination, ignore_errors=True)
    classes = [class_name(name) for name in params.classes]
    try:
        with zipfile.ZipFile(archive) as packed:
            records = pd.concat(
                [_write_part(packed, prefix, destination, classes=classes) for prefix in PARTS], ignore_index=True
            )
    except (zipfile.BadZipFile, EOFError, KeyError, RuntimeError, ValueError, zlib.error) as error:
        raise ValueError(f"sources.npz: {archive} is not in MedMNIST's format: {error}") from error
    print(describe_classes(records))
    return records


def _locate(params: NpzParams) -> Path:
    known_hash = f"md5:{params.md5}"
    if params.path.startswith(WEB):
        return fetch(params.path, name=params.path.partition("?")[0].rpartition("/")[2], known_hash=known_hash)
    path = project_root() / Path(params.path).expanduser()
    if fault := find_fault(path, known_hash):
        raise ValueError(f"sources.npz.path: {path}: {fault}")
    return path


def _write_part(packed: zipfile.ZipFile, prefix: str, destination: Path, *, classes: list[str]) -> pd.DataFrame:
    """Write the images of one part as images/<part>/<number>.png and return their records."""
    part = PARTS[prefix]
    with packed.open(f"{prefix}_labels.npy") as file:
        labels = np.concatenate([row.ravel() for row in _read_rows(file)] or [np.zeros(0, np.uint8)])
    unnamed = sorted(set(labels.tolist()) - set(range(len(classes))))
    if unnamed:
        raise ValueError(f"{prefix}_labels holds {unnamed[0]}, but sources.npz.classes names 0 to {len(classes) - 1}")
    folder = destination / IMAGES / part
    folder.mkdir(parents=True)
    count = 0
    with packed.open(f"{prefix}_images.npy") as file:
        for image in tqdm(_read_rows(file), total=len(labels), desc=f"{prefix}_images", unit="image", disable=None):
            (folder / f"{count:06d}.png").write_bytes(_encode(image))
            count += 1
    if count != len(labels):
        raise ValueError(f"{prefix}_images holds {count} images, {prefix}_labels {len(labels)} labels")
    names = [f"{part}/{number:06d}" for number in range(count)]
    return pd.DataFrame(
        {
            "id": names,
            "file": [f"{IMAGES}/{name}.png" for name in names],
            "category": [classes[label] for label in labels.tolist()],
            "annotation": "",
            "group": "",
            "part": part,
        }
    )


def _read_rows(file: IO[bytes]) -> Iterator[Image]:
    """Yield the rows of a .npy file of whole numbers, one by one. Raises ValueError for another format."""
    version = npy.read_magic(file)
    read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read_header is None:
        raise ValueError(f"version {version} of the .npy format is unknown")
    shape, column_major, dtype = read_header(file)
    if column_major or dtype.kind not in "ui" or not shape:
        raise ValueError(f"expected rows of whole numbers, got {dtype} {shape}")
    length = int(np.prod(shape[1:])) * dtype.itemsize
    for _ in range(shape[0]):
        row = file.read(length)
        if len(row) < length:
            raise ValueError("an array is shorter than its header says")
        yield np.frombuffer(row, dtype=dtype).reshape(shape[1:])


def _encode(image: Image) -> bytes:
    """Return a uint8 image, grey (height, width) or RGB (height, width, 3), as PNG."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(f"expected uint8 images, grey or RGB, got {image.dtype} {image.shape}")
    ordered = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", ordered, _FASTEST)[1].tobytes()
