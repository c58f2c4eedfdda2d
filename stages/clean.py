"""Drops what cannot be used, each with its reason, and cuts the cells out of the rest."""

from pathlib import Path

from wbc.arrays import read_images
from wbc.cleaning import clean, summarise
from wbc.contact_sheet import contact_sheet, examples_of_each_class
from wbc.files import write_csv, write_json
from wbc.params.base import read_section
from wbc.params.clean import CleanParams
from wbc.records import read_records
from wbc.stage import run_stage

RAW = Path("data/raw")
CELLS = Path("data/cells.npy")


def main() -> None:
    """Records in, images with their manifest and the list of rejects out."""
    manifest, dropped = clean(
        read_records(RAW),
        raw=RAW,
        cells=CELLS,
        params=read_section(CleanParams, "clean"),
        seed=0,  # which images `thin` takes is a property of the data set, the same for every training seed
    )
    write_csv(Path("data/manifest.csv"), manifest)
    write_csv(Path("data/dropped.csv"), dropped)
    write_json(Path("metrics/clean.json"), summarise(manifest, dropped))
    examples = examples_of_each_class(
        read_images(CELLS), positions=manifest.index.tolist(), labels=manifest["label"].tolist()
    )
    contact_sheet(Path("metrics/figures/clean/cells.png"), rows=examples)


if __name__ == "__main__":
    run_stage("clean", main)
