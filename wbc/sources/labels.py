"""The layout of BCCD: JPEGImages/, Annotations/ (Pascal VOC) and labels.csv, and the records made from them."""

import re
from pathlib import Path

import pandas as pd


def read_labels(folder: Path) -> pd.DataFrame:
    """Return one record (wbc.data.tables.RECORDS) for each row of labels.csv and for each photograph without a row.

    ``id`` is the file's stem, ``category`` the label as given: several cells are separated by commas. labels.csv names
    a photograph by a number: 7 is BloodImage_00007.jpg. Nothing is known of groups or of an official split.
    Raises ValueError when labels.csv lacks the columns Image and Category or holds a number that is none.
    """
    labels = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    if not {"Image", "Category"} <= set(labels.columns):
        raise ValueError(f"{folder / 'labels.csv'} needs the columns Image and Category, has {list(labels.columns)}")
    wrong = labels.loc[~labels["Image"].str.fullmatch(r"\s*\d+\s*"), "Image"]
    if not wrong.empty:
        raise ValueError(f"{folder / 'labels.csv'}: Image must be a number, got {wrong.iloc[0]!r}")
    labelled = pd.DataFrame(
        {"id": labels["Image"].map(lambda number: f"BloodImage_{int(number):05d}"), "category": labels["Category"]}
    )
    photographs, annotations = _list_files(folder, "JPEGImages"), _list_files(folder, "Annotations")
    unlabelled = pd.DataFrame({"id": sorted(set(photographs) - set(labelled["id"])), "category": ""})
    records = pd.concat([labelled, unlabelled], ignore_index=True)
    return pd.DataFrame(
        {
            "id": records["id"],
            "file": records["id"].map(photographs).fillna(""),
            "category": [re.sub(r"\s+", " ", category) for category in records["category"]],
            "annotation": records["id"].map(annotations).fillna(""),
            "group": "",
            "part": "",
        }
    )


def _list_files(folder: Path, name: str) -> dict[str, str]:
    """Return the path below ``folder`` of each file in its subfolder ``name``, by stem."""
    return {path.stem: path.relative_to(folder).as_posix() for path in sorted((folder / name).iterdir())}
