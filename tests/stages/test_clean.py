from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from stages.clean import main
from wbc.records import write_records

ROOT = Path(__file__).parents[2]


def prepare(folder: Path, *, classes: tuple[str, str], **clean: Any) -> None:
    """Write params.yaml with changes under ``clean`` and data/raw with four small photographs, two of each class."""
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["clean"] |= {"crop": "whole", "size": [32, 32], "twins": False} | clean
    YAML().dump(params, folder / "params.yaml")
    (folder / "data" / "raw").mkdir(parents=True)
    for number in range(4):
        image = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "data" / "raw" / f"{number}.png"), image)
    ids = [str(number) for number in range(4)]
    columns = {"id": ids, "file": [f"{number}.png" for number in ids], "category": [*classes, *classes]}
    records = pd.DataFrame(columns | {"annotation": "", "group": "", "part": ""})
    write_records(folder / "data" / "raw", records)


@pytest.mark.parametrize(
    ("excluded", "message"),
    [
        ("GIANT", "^clean.exclude: the source has no class GIANT; there are BANDS, BASOPHILS; nearest: BANDS$"),
        ("BASOPHIL", "^clean.exclude: the source has no class BASOPHIL; .*; nearest: BASOPHILS$"),
    ],
)
def test_a_class_that_nothing_has_cannot_be_excluded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, excluded: str, message: str
) -> None:
    prepare(tmp_path, classes=("BASOPHILS", "BANDS"), exclude=[excluded])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        main()
    assert not (tmp_path / "data" / "cells.npy").exists()


def test_the_usual_exclusion_may_find_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, classes=("EOSINOPHIL", "BANDS"), exclude=["BASOPHIL"])
    monkeypatch.chdir(tmp_path)
    main()
    assert np.load(tmp_path / "data" / "cells.npy").shape == (4, 32, 32, 3)
