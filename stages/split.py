"""Divides the images into training, validation and test part."""

from pathlib import Path

from wbc.base.files import write_csv, write_json
from wbc.base.params import read_number, read_section
from wbc.base.stage import run_stage
from wbc.data.tables import MANIFEST, read_table
from wbc.split.params import SplitParams
from wbc.split.splits import split, summarise_split


def main() -> None:
    """Manifest in, one part for each image out."""
    params = read_section(SplitParams, "split")
    table = split(read_table(Path("data/manifest.csv"), MANIFEST), params=params, seed=read_number("seed"))
    write_csv(Path("data/split.csv"), table)
    summary = summarise_split(table, strategy=params.strategy)
    write_json(Path("metrics/split.json"), summary)
    for note in summary["notes"]:
        print(f"note: {note}")


if __name__ == "__main__":
    run_stage("split", main)
