import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from stages.split import main

ROOT = Path(__file__).parents[2]


def test_parts_and_notes_are_written_and_the_notes_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["split"] |= {"strategy": "random", "folds": 4}
    YAML().dump(params, tmp_path / "params.yaml")
    (tmp_path / "data").mkdir()
    ids = [f"{number:02d}" for number in range(41)]
    columns = {"id": ids, "label": ["A"] * 20 + ["B"] * 20 + ["C"], "group": ids, "part": "", "file": ids, "flags": ""}
    sizes = dict.fromkeys(("width", "height"), 40) | dict.fromkeys(("nucleus_area", "boxes"), 0)
    places = dict.fromkeys(("nucleus_x", "nucleus_y", "box_left", "box_top", "box_right", "box_bottom"), np.nan)
    order = ["id", "label", "group", "part", "file", "width", "height", "nucleus_x", "nucleus_y", "nucleus_area"]
    table = pd.DataFrame(columns | sizes | places)
    table[[*order, "boxes", "box_left", "box_top", "box_right", "box_bottom", "flags"]].to_csv(
        tmp_path / "data" / "manifest.csv", index=False
    )
    monkeypatch.chdir(tmp_path)
    written = []
    for seed in (1, 2, 1):
        params["seed"] = seed
        YAML().dump(params, tmp_path / "params.yaml")
        main()
        written.append(pd.read_csv(tmp_path / "data" / "split.csv", dtype=str))
    assert written[0].equals(written[2])
    assert not written[0].equals(written[1])
    summary = json.loads((tmp_path / "metrics" / "split.json").read_text())
    assert summary["strategy"] == "random"
    assert summary["test"]["images"] == (written[2]["split"] == "test").sum() == 10
    assert summary["notes"] == [
        "groups are ignored, 0 of them lie in more than one part",
        "C (1 images in 1 groups) has no image in validation and test",
    ]
    assert capsys.readouterr().out.splitlines()[-2:] == [f"note: {note}" for note in summary["notes"]]
