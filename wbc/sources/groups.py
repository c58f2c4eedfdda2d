"""Groups that the user supplies: which patient or slide an image belongs to."""

import re
import unicodedata
from pathlib import Path

import pandas as pd

from wbc.base.names import tidy
from wbc.sources.params import GroupsParams


def supply_groups(records: pd.DataFrame, *, params: GroupsParams) -> pd.DataFrame:
    """Return the records (wbc.data.tables.RECORDS) with the groups that ``params`` gives them in place of their own.

    What the file names counts first, then what the pattern captures, which must match every record; else a record keeps
    what it had. All groups are tidied (wbc.base.names.tidy). Raises ValueError.
    """
    groups = records["group"] if params.pattern is None else _match_groups(records["id"], pattern=params.pattern)
    path = Path(params.file)
    identifiers = records["id"].map(tidy)
    supplied = _read_groups(path, identifiers=set(identifiers))
    named = identifiers.map(supplied).astype(object)
    if supplied and named.isna().any():
        print(f"data.groups: {path} names no group for {named.isna().sum()} of {len(records)} images")
    return records.assign(group=named.fillna(groups).map(tidy))


def _read_groups(path: Path, *, identifiers: set[str]) -> dict[str, str]:
    """Return the group of each id in a CSV; ``identifiers`` are those that there may be."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ValueError(f"data.groups: {path} does not exist") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"data.groups: {path} is not a CSV file in UTF-8: {error}") from error
    table = table.rename(columns=tidy)
    if not {"id", "group"} <= set(table.columns):
        raise ValueError(f"data.groups: {path} needs the columns id and group, has {list(table.columns)}")
    table = table[["id", "group"]].map(tidy)
    table = table[table["group"] != ""].drop_duplicates()
    unknown = table.loc[~table["id"].isin(identifiers), "id"]
    if not unknown.empty:
        raise ValueError(
            f"data.groups: {path}: {len(unknown)} ids are unknown, the first {unknown.iloc[0]!r}; "
            f"an id looks like {min(identifiers)!r}, see data/raw/records.csv of a run without groups"
        )
    twice = table.loc[table["id"].duplicated(), "id"]
    if not twice.empty:
        raise ValueError(f"data.groups: {path}: {len(twice)} ids have two groups, the first {twice.iloc[0]!r}")
    return dict(zip(table["id"], table["group"], strict=True))


def _match_groups(identifiers: pd.Series, *, pattern: str) -> pd.Series:
    """Return what the pattern captures in each file name, or in each path if the pattern has a slash."""
    names = identifiers if "/" in pattern else identifiers.str.rpartition("/")[2]
    composed = unicodedata.normalize("NFC", pattern)  # as the ids are
    found = names.map(lambda name: match[1] if (match := re.search(composed, name)) else None)
    missed = names[found.isna() | (found == "")]
    if not missed.empty:
        raise ValueError(
            f"data.groups.pattern: {pattern!r} finds no group in {len(missed)} of {len(names)} names, "
            f"the first {missed.iloc[0]!r}"
        )
    return found
