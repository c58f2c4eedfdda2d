import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import joblib
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from stages.clean import main
from wbc.data.tables import write_records

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Four small images are not worth the start of processes."""
    with joblib.parallel_config(backend="threading"):
        yield


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


def test_tables_counts_and_figures_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, classes=("EOSINOPHIL", "BANDS"))
    (tmp_path / "data" / "raw" / "3.png").write_bytes(b"no image")
    monkeypatch.chdir(tmp_path)
    main()
    data, figures = tmp_path / "data", tmp_path / "metrics" / "figures" / "clean"
    assert pd.read_csv(data / "manifest.csv", dtype=str)["id"].tolist() == ["0", "1", "2"]
    assert pd.read_csv(data / "dropped.csv", dtype=str)[["id", "reason"]].to_numpy().tolist() == [["3", "unreadable"]]
    assert pd.read_csv(data / "twins.csv").empty
    counts = json.loads((tmp_path / "metrics" / "clean.json").read_text())
    assert (counts["records"], counts["kept"], counts["classes"]) == (4, 3, {"BANDS": 1, "EOSINOPHIL": 2})
    assert sorted(path.name for path in figures.iterdir()) == ["cells.png", "flags.png", "twins.jpg"]


def test_one_class_that_is_left_stops_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, classes=("EOSINOPHIL", "BANDS"), exclude=["bands"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="only one class, EOSINOPHIL, and a classifier needs two or more"):
        main()


def test_images_are_thinned_by_a_draw_that_is_always_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, classes=("EOSINOPHIL", "BANDS"), thin={"BANDS": 0.5})
    monkeypatch.chdir(tmp_path)
    main()
    assert pd.read_csv("data/manifest.csv", dtype=str)["id"].tolist() == ["0", "2", "3"]
