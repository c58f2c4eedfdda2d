"""Ranks the labels that the images contradict, for a person to judge; nothing is dropped."""

from pathlib import Path

import pandas as pd

from wbc.base.files import write_csv
from wbc.base.params import read_number
from wbc.base.stage import run_stage
from wbc.data.arrays import Image, read_images
from wbc.data.tables import MANIFEST, SUSPECTS, read_table
from wbc.inference.determinism import make_deterministic
from wbc.suspects.embedding import embed
from wbc.suspects.suspects import choose_judged, out_of_fold_probabilities, rank_suspects
from wbc.tools.contact_sheet import contact_sheet

CELLS = Path("data/cells.npy")
SEED = 0  # which labels are in doubt is a property of the data set, the same for every training seed
SHOWN = 8  # of each confusion


def main() -> None:
    """Images and labels in, a ranked table and a gallery out."""
    make_deterministic(seed=SEED, threads=read_number("threads"))
    manifest, images = read_table(Path("data/manifest.csv"), MANIFEST), read_images(CELLS)
    judged = choose_judged(manifest)
    suspects = pd.DataFrame(columns=list(SUSPECTS.columns)) if judged.empty else find_suspects(judged, images)
    write_csv(Path("metrics/suspects.csv"), suspects)
    rows = {
        f"{label}, looks like {other} ({len(members)})": [
            (name, images[row]) for name, row in zip(members["id"][:SHOWN], members.index[:SHOWN], strict=True)
        ]
        for (label, other), members in suspects.groupby(["label", "looks_like"])
    }
    contact_sheet(Path("metrics/figures/suspects/gallery.png"), rows=rows or {"no suspects": []})
    print(f"{len(suspects)} of {len(judged)} labels are in doubt: look at metrics/figures/suspects/gallery.png")


def find_suspects(judged: pd.DataFrame, images: Image) -> pd.DataFrame:
    """Return the images of ``judged``, rows of the manifest, whose label is in doubt."""
    features = embed(images, positions=judged.index.to_numpy())
    probabilities = out_of_fold_probabilities(features, labels=judged["label"], groups=judged["group"], seed=SEED)
    return rank_suspects(judged, probabilities)


if __name__ == "__main__":
    run_stage("suspects", main)
