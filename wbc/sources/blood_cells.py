"""blood_cells: augmented copies of BCCD's photographs in TRAIN and TEST folders (dhruvp/wbc-classification)."""

import shutil
from collections import Counter
from pathlib import Path, PurePosixPath

import pandas as pd

from wbc.sources.archive import ArchiveError, read_tar, write_whole
from wbc.sources.class_folders import IMAGES, Selection, describe_classes, is_image, plan_records
from wbc.sources.params import BloodCellsParams
from wbc.tools.fetch import fetch, locate, unavailable

COUNTS = {"full": {"train": 9957, "test": 2487}, "train_sample": {"train": 1000}}  # images of each archive
SUFFIXES = {"full": "", "train_sample": "-train-sample"}
WHOLE = "take the whole set: `-S sources.blood_cells.archive=full`"


def bring(destination: Path, *, params: BloodCellsParams) -> pd.DataFrame:
    """Fill ``destination``/images with TRAIN/<CLASS> and TEST/<CLASS> and return their records, parts included.

    What a killed run left there is made anew. Raises DownloadError, also where images are missing.
    """
    url = f"https://github.com/dhruvp/wbc-classification/archive/{params.commit}.tar.gz"
    name = f"wbc-classification-{params.commit}{SUFFIXES[params.archive]}.tar.gz"
    if params.archive != "full" and locate(url, name=name) == url:
        raise unavailable(url, name=name, reason="the sample is in mirrors only", otherwise=WHOLE)
    # As with BCCD's, the archive has no checksum, and a bad copy shows only when unpacked.
    try:
        records = _unpack(fetch(url, name=name), destination, counts=COUNTS[params.archive])
    except ArchiveError:
        try:
            records = _unpack(fetch(url, name=name, fresh=True), destination, counts=COUNTS[params.archive])
        except ArchiveError as error:
            raise unavailable(url, name=name, reason=str(error)) from error
    print(describe_classes(records))
    return records


def _unpack(archive: Path, destination: Path, *, counts: dict[str, int]) -> pd.DataFrame:
    """Write the images of TRAIN and TEST and return their records. Raises ArchiveError unless there are ``counts``."""
    shutil.rmtree(destination, ignore_errors=True)
    places = []
    for member, content in read_tar(archive):
        place = _place(member)
        if place:
            write_whole(destination / IMAGES / place, content)
            places.append(place)
    if not places:
        raise ArchiveError("there is no image below images/TRAIN or images/TEST")
    records, paths = plan_records(places, selection=Selection())
    for file, path in zip(records["file"], paths, strict=True):
        (destination / IMAGES / path).replace(destination / file)  # the same but for odd characters
    found = dict(Counter(records["part"]))
    if found != counts:
        raise ArchiveError(f"expected {counts} images, found {found}")
    return records


def _place(member: str) -> str:
    """Return TRAIN/<CLASS>/<file> for a member such as <top>/images/TRAIN/<CLASS>/<file>, "" for what is not wanted."""
    parts = PurePosixPath(member).parts[1:]
    wanted = len(parts) == 4 and parts[0] == "images" and parts[1] in ("TRAIN", "TEST") and is_image(member)
    return "/".join(parts[1:]) if wanted else ""
