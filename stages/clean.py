"""Drops what cannot be used, each with its reason, and cuts the cells out of the rest."""

from pathlib import Path

from wbc.base.files import write_csv, write_json
from wbc.base.names import classes_of, describe_unknown_excluded, require_two_classes
from wbc.base.params import read_section
from wbc.base.stage import run_stage
from wbc.clean.audit_figures import draw_flags, draw_pairs
from wbc.clean.cleaning import clean
from wbc.clean.params import CleanParams
from wbc.clean.summary import summarise_cleaning
from wbc.data.arrays import read_images
from wbc.data.tables import read_records
from wbc.tools.contact_sheet import contact_sheet, examples_of_each_class

RAW = Path("data/raw")
CELLS = Path("data/cells.npy")
FIGURES = Path("metrics/figures/clean")


def main() -> None:
    """Records in, images with their manifest, their twins and the list of rejects out."""
    records, params = read_records(RAW), read_section(CleanParams, "clean")
    if fault := describe_unknown_excluded(params.exclude, classes=classes_of(records) - {""}):
        raise ValueError(f"clean.exclude: the source has {fault}")
    manifest, dropped, twins = clean(
        records,
        raw=RAW,
        cells=CELLS,
        params=params,
        seed=0,  # which images `thin` takes is a property of the data set, the same for every training seed
    )
    require_two_classes(manifest["label"])
    write_csv(Path("data/manifest.csv"), manifest)
    write_csv(Path("data/dropped.csv"), dropped)
    write_csv(Path("data/twins.csv"), twins)
    window = params.window if params.crop == "cell" else None
    write_json(Path("metrics/clean.json"), summarise_cleaning(manifest, dropped, twins, window=window))
    examples = examples_of_each_class(
        read_images(CELLS),
        positions=manifest.index.tolist(),
        labels=manifest["label"].tolist(),
        names=manifest["id"].tolist(),
    )
    contact_sheet(FIGURES / "cells.png", rows=examples)
    files = {name: RAW / file for name, file in zip(records["id"], records["file"], strict=True)}
    draw_pairs(
        FIGURES / "twins.jpg", twins, files=files, labels=dict(zip(records["id"], records["category"], strict=True))
    )
    draw_flags(FIGURES / "flags.png", dict(zip(manifest["id"], manifest["flags"], strict=True)), files=files)


if __name__ == "__main__":
    run_stage("clean", main)
