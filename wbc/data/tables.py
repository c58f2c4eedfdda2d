"""The tables that flow between stages: their columns, how they are read and what must hold in them."""

from pathlib import Path
from typing import Any, TextIO

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from wbc.base.files import write_csv

SPLITS = ("train", "validation", "test")
UNUSED = "unused"  # in no part, for its group is in another one of an official split
KINDS = ("copy", "same_cell", "overlap")  # of twins

_TEXT: dict[str, Any] = {"dtype": str, "checks": pa.Check.str_length(min_value=1)}
_PIXELS: dict[str, Any] = {"dtype": float, "nullable": True, "coerce": True}  # pandas reads 1.0 as int

_PART: dict[str, Any] = {"dtype": str, "checks": pa.Check.isin(("", *SPLITS))}  # of the official split, empty without

RECORDS = pa.DataFrameSchema(
    {
        "id": pa.Column(**_TEXT, unique=True),
        "file": pa.Column(str),  # relative to data/raw, empty where a label has no file
        "category": pa.Column(str),  # a class name, several separated by commas, empty where unknown
        "annotation": pa.Column(str),  # a VOC file relative to data/raw, empty without
        "group": pa.Column(str),  # patient or slide as the source or data.groups names it, empty where unknown
        "part": pa.Column(**_PART),
    },
    strict=True,
)

MANIFEST = pa.DataFrameSchema(
    {
        "id": pa.Column(**_TEXT, unique=True),
        "label": pa.Column(**_TEXT),
        "group": pa.Column(**_TEXT),  # images that show the same cell share a group; a group never crosses a split
        "part": pa.Column(**_PART),
        "file": pa.Column(**_TEXT),  # relative to data/raw
        "width": pa.Column(int, pa.Check.gt(0)),  # px of the photograph
        "height": pa.Column(int, pa.Check.gt(0)),
        "nucleus_x": pa.Column(**_PIXELS),  # centre in px of the photograph, empty where no nucleus was found
        "nucleus_y": pa.Column(**_PIXELS),
        "nucleus_area": pa.Column(int, pa.Check.ge(0)),  # px
        "boxes": pa.Column(int, pa.Check.ge(0)),  # annotated white cells
        "box_left": pa.Column(**_PIXELS),  # the annotated box, empty where there is none
        "box_top": pa.Column(**_PIXELS),
        "box_right": pa.Column(**_PIXELS),
        "box_bottom": pa.Column(**_PIXELS),
        "flags": pa.Column(str),  # keys of wbc.photographs.quality.FLAGS joined by ";", empty for none
    },
    strict=True,
)

SPLIT = pa.DataFrameSchema(
    {
        "id": pa.Column(**_TEXT, unique=True),
        "label": pa.Column(**_TEXT),
        "group": pa.Column(**_TEXT),
        "split": pa.Column(str, pa.Check.isin((*SPLITS, UNUSED))),
    },
    strict=True,
)

GROUPED_SPLIT = pa.DataFrameSchema(  # what every strategy but random must make
    SPLIT.columns,
    checks=pa.Check(
        lambda table: table[table["split"] != UNUSED].groupby("group")["split"].nunique().le(1).all(),
        error="a group crosses splits",
    ),
    strict=True,
)

TWINS = pa.DataFrameSchema(
    {
        "id_a": pa.Column(**_TEXT),  # the smaller of the two ids
        "id_b": pa.Column(**_TEXT),
        # copy: nothing moved; same_cell: the nuclei fall on each other; overlap: the fields meet, the cells are others
        "kind": pa.Column(str, pa.Check.isin(KINDS)),
        "inliers": pa.Column(int, pa.Check.gt(0)),  # keypoints that one map from a to b explains
        "correlation": pa.Column(float, pa.Check.in_range(-1, 1), coerce=True),  # of the overlap, after the map
        "overlap": pa.Column(float, pa.Check.in_range(0, 1), coerce=True),  # share of the smaller of the two fields
        "rotation": pa.Column(float, coerce=True),  # degrees from a to b, clockwise on the screen, after mirroring
        "scale": pa.Column(float, pa.Check.gt(0), coerce=True),  # length in b over length in a, both in px of the files
        "shift_x": pa.Column(float, coerce=True),  # px of a: where the middle of a lies, seen from the middle of b
        "shift_y": pa.Column(float, coerce=True),
        "mirrored": pa.Column(bool),  # b shows a's mirror image
    },
    checks=pa.Check(lambda table: table["id_a"] < table["id_b"], error="id_a is not the smaller id"),
    unique=["id_a", "id_b"],
    strict=True,
)

TRAIN = pa.DataFrameSchema(
    {
        "label": pa.Column(**_TEXT),
        "kind": pa.Column(str, pa.Check.isin(["original", "view", "smote", "repeat"])),
        "id": pa.Column(**_TEXT),  # the image it comes from
        "partner": pa.Column(str),  # the other image of a SMOTE pair, also for a view of such a blend; else empty
        "copy": pa.Column(int, pa.Check.ge(0)),  # number among the views of id and partner, or among the fillings
    },
    strict=True,
)


SUSPECTS = pa.DataFrameSchema(
    {
        "id": pa.Column(**_TEXT, unique=True),
        "label": pa.Column(**_TEXT),
        "looks_like": pa.Column(**_TEXT),  # the most probable other class
        "margin": pa.Column(
            float, pa.Check.in_range(-1, 1), coerce=True
        ),  # probability of the label less that of looks_like
    },
    strict=True,
)

PREDICTIONS = pa.DataFrameSchema(
    {
        "id": pa.Column(**_TEXT, unique=True),
        "group": pa.Column(**_TEXT),
        "truth": pa.Column(**_TEXT),
        "prediction": pa.Column(**_TEXT),
        "^probability_": pa.Column(float, pa.Check.in_range(0, 1), coerce=True, regex=True),  # of each class
        "review": pa.Column(bool, required=False),  # whether a person is to look at it
    },
)


def read_table(path: Path, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Return the CSV at ``path`` with the columns and types of ``schema``; empty text stays an empty string.

    Raises ValueError naming the file and each broken rule.
    """
    return check_table(load_table(path, schema), schema, where=str(path))


def load_table(source: Path | TextIO, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """Return a CSV, unchecked, whose text columns in ``schema`` are text as it stands, also «NA», «True» and «007»."""
    texts = [name for name, column in schema.columns.items() if pd.api.types.is_string_dtype(column.dtype.type)]
    numbers = [name for name in schema.columns if name not in texts]
    empty_is_missing = {name: [""] for name in numbers}
    return pd.read_csv(source, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=empty_is_missing)


def check_table(table: pd.DataFrame, schema: pa.DataFrameSchema, *, where: str) -> pd.DataFrame:
    """Return ``table`` if it obeys ``schema``; raise ValueError that names ``where`` and each broken rule."""
    try:
        return schema.validate(table, lazy=True)
    except SchemaErrors as error:
        rules = error.failure_cases[["column", "check", "failure_case"]].drop_duplicates().head(5)
        raise ValueError(f"{where} is not in order:\n{rules.to_string(index=False)}") from error


def write_records(folder: Path, records: pd.DataFrame) -> None:
    """Write ``folder``/records.csv. Raises ValueError naming each rule of RECORDS that is broken."""
    write_csv(folder / "records.csv", check_table(records, RECORDS, where="the table of records"))


def read_records(folder: Path) -> pd.DataFrame:
    """Return ``folder``/records.csv, see RECORDS. Raises ValueError naming each rule that is broken."""
    return read_table(folder / "records.csv", RECORDS)
