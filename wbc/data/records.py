"""records.csv, the one description of raw data that every source ends in: a row for each image or label."""

from pathlib import Path

import pandas as pd

from wbc.base.files import write_csv
from wbc.data.tables import RECORDS, check_table, read_table


def write_records(folder: Path, records: pd.DataFrame) -> None:
    """Write ``folder``/records.csv. Raises ValueError naming each rule of wbc.data.tables.RECORDS that is broken."""
    write_csv(folder / "records.csv", check_table(records, RECORDS, where="the table of records"))


def read_records(folder: Path) -> pd.DataFrame:
    """Return ``folder``/records.csv, see wbc.data.tables.RECORDS. Raises ValueError naming each rule that is broken."""
    return read_table(folder / "records.csv", RECORDS)
