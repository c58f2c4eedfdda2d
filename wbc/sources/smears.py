"""The embedded source: blood-smear photographs drawn with OpenCV, in BCCD's layout and with its quirks.

Nothing is downloaded and any number can be had, so it serves demonstrations, tests and load. Stains absorb light as in
Beer and Lambert's law: everything in a field adds its optical densities of red, green and blue, which is why
overlapping red cells darken, and the photograph is light * exp(-density). Densities, sizes and light are medians
measured on BCCD. Lengths are pixels of a 640 x 480 photograph; another size shows such a field at another resolution.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pandas as pd

from wbc.base.files import write_csv
from wbc.sources.drawing import draw_smear
from wbc.sources.labels import read_labels
from wbc.sources.params import SmearsParams
from wbc.tools.parallel import map_parallel
from wbc.tools.voc import write_annotation


@dataclass(frozen=True)
class Photograph:
    """A row of labels.csv and the file it stands for."""

    number: int
    field: int  # the number that keys the drawing: its own, or that of the photograph it repeats
    classes: tuple[str, ...]
    category: str  # as in labels.csv
    file: Literal["whole", "corrupt", "none"]
    take: int = 0


def bring(destination: Path, *, params: SmearsParams) -> pd.DataFrame:
    """Fill ``destination`` with JPEGImages/, Annotations/, labels.csv and twins.csv, and return labels.csv's records.

    The folder is empty or what a killed run of the same ``params`` left.
    twins.csv holds the truth that BCCD lacks: ``id_a`` and ``id_b`` are the stems of two photographs of the same
    cell. The bytes of a photograph depend on the seed, the frame's size and its own place in the plan alone.
    """
    for folder in ("JPEGImages", "Annotations"):
        (destination / folder).mkdir(exist_ok=True)
    plan = plan_photographs(params)
    labels = pd.DataFrame({"": "", "Image": range(len(plan)), "Category": [one.category for one in plan]})
    labels.to_csv(destination / "labels.csv", index=False, lineterminator="\r\n")
    twins = [(_stem(one.field), _stem(one.number)) for one in plan if one.take]
    write_csv(destination / "twins.csv", pd.DataFrame(twins, columns=["id_a", "id_b"]))
    drawn = [one for one in plan if one.file != "none"]
    for _ in map_parallel(partial(_save, destination=destination, params=params), drawn, description="smears"):
        pass
    return read_labels(destination)


def plan_photographs(params: SmearsParams) -> list[Photograph]:
    """Return every row of labels.csv that ``params`` asks for, numbered from 0 in an order drawn from the seed.

    The number of a twin or duplicate is about half the series away from its original's.
    """
    random = np.random.default_rng(params.seed)
    present = [name for name, count in params.counts.items() if count]
    singles = [name for name in present for _ in range(params.counts[name])]
    firsts: list[tuple[tuple[str, ...], str, Literal["whole", "corrupt", "none"]]]
    firsts = [((name,), name, "whole") for name in singles]
    for index in range(params.multi_cell):
        cells = random.choice(present, 3 if index % 5 == 4 else 2).tolist()
        cells = cells[:1] * len(cells) if index % 3 == 0 else cells
        firsts.append((tuple(cells), (", " if index % 2 == 0 else ",").join(cells), "whole"))
    firsts += [((name,), "", "whole") for name in random.choice(present, params.unlabelled).tolist()]
    firsts += [((name,), name, "corrupt") for name in random.choice(present, params.corrupt).tolist()]
    # As in BCCD, few of the rows without a photograph have a label.
    for index, name in enumerate(random.choice(present, params.missing).tolist()):
        firsts.append(((), name if index % 4 == 3 else "", "none"))
    chosen = random.permutation(len(singles)).tolist()
    repeats = [(original, 1) for original in chosen[: params.twins]]
    repeats += [(original, 0) for original in chosen[len(chosen) - params.duplicates :]]
    place = random.random(len(firsts))
    away = [(place[original] + random.uniform(0.3, 0.7)) % 1 for original, _ in repeats]
    numbers = np.concatenate([place, away]).argsort().argsort().tolist()
    plan = [Photograph(number, number, *first) for number, first in zip(numbers, firsts, strict=False)]
    for number, (original, take) in zip(numbers[len(firsts) :], repeats, strict=True):
        plan.append(replace(plan[original], number=number, take=take))
    return sorted(plan, key=lambda photograph: photograph.number)


def _stem(number: int) -> str:
    return f"BloodImage_{number:05d}"


def _save(photograph: Photograph, *, destination: Path, params: SmearsParams) -> None:
    image, boxes = draw_smear(
        seed=params.seed,
        number=photograph.field,
        classes=photograph.classes,
        width=params.width,
        height=params.height,
        take=photograph.take,
    )
    quality = int(np.random.default_rng([params.seed, photograph.field, 2, photograph.take]).integers(70, 88))
    encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    name = _stem(photograph.number)
    # Cut within the header: a longer piece would still decode, to a photograph that is grey below.
    content = encoded.tobytes()[: 200 if photograph.file == "corrupt" else None]
    (destination / "JPEGImages" / f"{name}.jpg").write_bytes(content)
    write_annotation(
        destination / "Annotations" / f"{name}.xml",
        image=f"{name}.jpg",
        width=params.width,
        height=params.height,
        boxes=boxes,
    )
