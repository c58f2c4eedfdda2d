"""Images of your own: a tree of class folders as it is, packed, or at a URL."""

import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import pandas as pd

from wbc.base.names import class_name
from wbc.base.root import project_root
from wbc.sources.archive import ArchiveError, read_archive, write_whole
from wbc.sources.class_folders import (
    Listed,
    Selection,
    describe_classes,
    describe_left_out,
    is_image,
    list_images,
    plan_records,
)
from wbc.sources.params import FoldersParams
from wbc.tools.fetch import WEB, fetch, find_fault

UNPACKED = "unpacked"
ELSEWISE = "fetch and unpack it yourself and set sources.folders.path to the folder"


def bring(destination: Path, *, params: FoldersParams) -> pd.DataFrame:
    """Fill ``destination``/images with the chosen classes of ``params.path`` and return their records.

    What a killed run left there is made anew. Raises DownloadError, or ValueError for a path that leads nowhere, an
    unsafe archive and classes that are not there.
    """
    shutil.rmtree(destination, ignore_errors=True)
    destination.mkdir(parents=True)
    source = _locate(params)
    try:
        if source.is_dir():
            records = lay_out(source, destination, params=params, place=shutil.copyfile)
        else:
            unpack(source, destination / UNPACKED)
            (destination / UNPACKED).mkdir(exist_ok=True)  # an archive may hold no image
            records = lay_out(destination / UNPACKED, destination, params=params, place=Path.replace)
            shutil.rmtree(destination / UNPACKED)
    except ArchiveError as error:
        raise ArchiveError(f"{params.path}: {error}. If you trust it, {ELSEWISE}") from error
    except ValueError as error:
        raise ValueError(f"sources.folders: {params.path}: {error}") from error
    print(describe_classes(records))
    return records


def unpack(archive: Path, folder: Path) -> None:
    """Write the images of a zip or tar below ``folder``; say what else there is.

    Raises ArchiveError, for an unsafe one before it writes.
    """
    others = []
    for member, content in read_archive(archive):
        name = "/".join(part for part in PurePosixPath(member.replace("\\", "/")).parts if part != ".")
        if is_image(name):
            write_whole(folder / name, content)
        else:
            others.append(name)
    for line in describe_left_out(Listed([], sorted(others), [], [])):
        print(line)


def lay_out(
    root: Path, destination: Path, *, params: FoldersParams, place: Callable[[Path, Path], Any]
) -> pd.DataFrame:
    """Bring the chosen images below ``root`` to their places in ``destination`` and return their records."""
    selection = Selection(
        include=[class_name(name) for name in params.include],
        exclude=[class_name(name) for name in params.exclude],
        rename={class_name(old): class_name(new) for old, new in params.rename.items()},
    )
    records, paths = plan_records(list_images(root), selection=selection)
    for file, path in zip(records["file"], paths, strict=True):
        (destination / file).parent.mkdir(parents=True, exist_ok=True)
        place(root / path, destination / file)
    return records


def _locate(params: FoldersParams) -> Path:
    """Return the folder or archive, fetched if it is at a URL and verified if it has a checksum."""
    if params.path is None:
        raise ValueError("set sources.folders.path to a folder, a zip, a tar or the URL of one")
    if params.path.startswith(WEB):
        name = PurePosixPath(unquote(urlsplit(params.path).path)).name
        return fetch(params.path, name=name, known_hash=params.sha256, otherwise=ELSEWISE)
    path = project_root() / Path(params.path).expanduser()
    if not path.exists():
        raise ValueError(f"sources.folders.path: {path} does not exist")
    if params.sha256 and (fault := find_fault(path, params.sha256)):
        raise ValueError(f"sources.folders.path: {path}: {fault}")
    return path
