"""BCCD: 364 photographs with boxes (Shenggan/BCCD_Dataset, MIT) and their class labels (dhruvp/wbc-classification)."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from wbc.sources.archive import ArchiveError, extract_verified, unverified, write_whole
from wbc.sources.labels import read_labels
from wbc.sources.params import BccdParams
from wbc.tools.fetch import fetch, unavailable

CHECKSUMS = Path(__file__).with_suffix(".sha256")
LABELS = "labels.csv"


def bring(destination: Path, *, params: BccdParams) -> pd.DataFrame:
    """Fill ``destination`` with JPEGImages/, Annotations/, labels.csv and LICENSE, every file verified.

    Returns the records of labels.csv.

    What a killed run left there is used: only files that are absent or wrong are fetched and written.
    Raises DownloadError.
    """
    checksums = {name: sha256 for sha256, name in map(str.split, CHECKSUMS.read_text().splitlines())}
    labels = {LABELS: checksums.pop(LABELS)}
    if unverified(destination, checksums):
        _bring_photographs(destination, commit=params.commit, checksums=checksums)
    if unverified(destination, labels):
        url = f"https://raw.githubusercontent.com/dhruvp/wbc-classification/{params.labels_commit}/{LABELS}"
        write_whole(destination / LABELS, fetch(url, name=LABELS, known_hash=labels[LABELS]).read_bytes())
    return read_labels(destination)


def _bring_photographs(destination: Path, *, commit: str, checksums: Mapping[str, str]) -> None:
    url = f"https://github.com/Shenggan/BCCD_Dataset/archive/{commit}.tar.gz"
    name = f"bccd-{commit}.tar.gz"
    # GitHub may pack the same files anew, so the archive has no checksum, and a bad copy shows only when unpacked.
    try:
        extract_verified(fetch(url, name=name), destination, checksums=checksums, rename=_place)
    except ArchiveError:
        try:
            extract_verified(fetch(url, name=name, fresh=True), destination, checksums=checksums, rename=_place)
        except ArchiveError as error:
            raise unavailable(url, name=name, reason=str(error)) from error


def _place(member: str) -> str:
    """Return where a member such as BCCD_Dataset-<commit>/BCCD/JPEGImages/x.jpg belongs: JPEGImages/x.jpg."""
    return member.partition("/")[2].removeprefix("BCCD/")
