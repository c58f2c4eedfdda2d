"""Draws views of the training images and balances the classes."""

import json
from pathlib import Path

from wbc.augment.augmentation import augment, choose_images, summarise_augmentation
from wbc.augment.params import AugmentParams
from wbc.base.files import write_csv, write_json
from wbc.base.params import read_number, read_section
from wbc.base.stage import run_stage
from wbc.data.arrays import read_images
from wbc.data.tables import SPLIT, read_table
from wbc.tools.contact_sheet import contact_sheet, examples_of_each_class

TRAIN = Path("data/train.npy")


def main() -> None:
    """Images of the training part in, many more of them out."""
    split = read_table(Path("data/split.csv"), SPLIT)
    leaky = json.loads(Path("metrics/split.json").read_text())["strategy"] == "leaky"
    table = augment(
        choose_images(split, leaky=leaky),
        cells=Path("data/cells.npy"),
        output=TRAIN,
        params=read_section(AugmentParams, "augment"),
        seed=read_number("seed"),
    )
    write_csv(Path("data/train.csv"), table)
    write_json(Path("metrics/augment.json"), summarise_augmentation(table))
    made = table[table["kind"] != "original"]
    shown = table if made.empty else made
    examples = examples_of_each_class(
        read_images(TRAIN),
        positions=shown.index.tolist(),
        labels=shown["label"].tolist(),
        names=shown["id"].tolist(),
    )
    contact_sheet(Path("metrics/figures/augment/views.png"), rows=examples)


if __name__ == "__main__":
    run_stage("augment", main)
