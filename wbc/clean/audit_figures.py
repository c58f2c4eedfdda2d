"""Figures of the audit: pairs of photographs side by side, and examples of each quality flag."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from wbc.base.files import written_aside
from wbc.data.arrays import Image
from wbc.photographs.decoding import read_photograph
from wbc.tools.contact_sheet import contact_sheet, spread

_WIDTH, _HEIGHT = 184, 138  # px of one photograph in the sheet of pairs
_CAPTION = 18  # px above each pair
_COLUMNS = 3  # pairs in one row
_MOST = 60  # pairs in the sheet
_QUALITY = 75  # of the JPEG: sixty pairs stay below 1 MB
_INK = (40, 40, 40)


def draw_pairs(path: Path, pairs: pd.DataFrame, *, files: Mapping[str, Path], labels: Mapping[str, str]) -> None:
    """Write a JPEG of up to 60 pairs of the table TWINS side by side.

    Cells of two classes come first, then the weakest evidence. Above each photograph is its id, behind the second the
    kind of the pair, or the class of both where they differ. Without pairs it says so.
    """
    agree = (pairs["kind"] == "overlap") | (pairs["id_a"].map(labels) == pairs["id_b"].map(labels))
    shown = pairs.assign(agree=agree).sort_values(["agree", "inliers", "id_a", "id_b"]).head(_MOST)
    rows = zip(shown["id_a"], shown["id_b"], shown["kind"], strict=True)
    tiles = [
        _pair(
            _captions(first, second, kind=kind, labels=labels),
            (_fitted(_read(files[first])), _fitted(_read(files[second]))),
        )
        for first, second, kind in rows
    ]
    empty = np.full((_CAPTION + _HEIGHT, 2 * _WIDTH + 8, 3), 255, np.uint8)
    if not tiles:
        blank = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
        tiles = [_pair(("no two photographs show the same field", ""), (blank, blank))]
    tiles += [empty] * (-len(tiles) % min(_COLUMNS, len(tiles)))
    columns = min(_COLUMNS, len(tiles))
    sheet = np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    with written_aside(path) as aside:
        aside.write_bytes(encoded.tobytes())


def draw_flags(path: Path, flags: Mapping[str, str], *, files: Mapping[str, Path]) -> None:
    """Write a PNG with some photographs of each flag and their ids. ``flags``: id and its flags by ";"."""
    members: dict[str, list[str]] = {}
    for name in sorted(flags):
        for flag in filter(None, flags[name].split(";")):
            members.setdefault(flag, []).append(name)
    rows = {
        f"{flag} ({len(names)})": [(name, _read(files[name])) for name in spread(names)]
        for flag, names in sorted(members.items())
    }
    contact_sheet(path, rows=rows or {"no flags": []}, side=160)


def _read(path: Path) -> Image:
    photograph = read_photograph(path)
    if photograph is None:
        raise ValueError(f"{path} cannot be decoded")
    return photograph


def _captions(first: str, second: str, *, kind: str, labels: Mapping[str, str]) -> tuple[str, str]:
    if kind != "overlap" and labels[first] != labels[second]:
        return f"{first} {labels[first]}", f"{second} {labels[second]}"
    return first, f"{second} {kind}"


def _fitted(image: Image) -> Image:
    """Return the image scaled to fit the middle of a white tile."""
    scale = min(_WIDTH / image.shape[1], _HEIGHT / image.shape[0])
    size = max(round(scale * image.shape[1]), 1), max(round(scale * image.shape[0]), 1)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    tile = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    top, left = (_HEIGHT - small.shape[0]) // 2, (_WIDTH - small.shape[1]) // 2
    tile[top : top + small.shape[0], left : left + small.shape[1]] = small
    return tile


def _pair(captions: tuple[str, str], photographs: tuple[Image, Image]) -> Image:
    tile = np.full((_CAPTION + _HEIGHT, 2 * _WIDTH + 8, 3), 255, np.uint8)
    for left, caption, photograph in zip((0, _WIDTH + 2), captions, photographs, strict=True):
        tile[_CAPTION:, left : left + _WIDTH] = photograph
        cv2.putText(tile, caption, (left + 2, _CAPTION - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, _INK, 1, cv2.LINE_AA)
    return tile
