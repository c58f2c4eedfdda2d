"""Every source by its name in params.yaml, with the section that describes it."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from wbc.base.params import Section
from wbc.sources import bccd, blood_cells, folders, npz, smears
from wbc.sources.params import BccdParams, BloodCellsParams, FoldersParams, NpzParams, SmearsParams


class Source(NamedTuple):
    """``bring(destination, params=...)`` fills a folder and returns its records (wbc.data.tables.RECORDS).

    The folder may hold what a killed try left.
    """

    bring: Callable[..., pd.DataFrame]
    schema: type[Section]


SOURCES: dict[str, Source] = {
    "bccd": Source(bccd.bring, BccdParams),
    "smears": Source(smears.bring, SmearsParams),
    "folders": Source(folders.bring, FoldersParams),
    "npz": Source(npz.bring, NpzParams),
    "blood_cells": Source(blood_cells.bring, BloodCellsParams),
}
