import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from stages.augment import main

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(("copies", "expected"), [(0, {"original": 4}), (1, {"original": 4, "view": 4})])
def test_it_runs_with_views_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: int, expected: dict[str, int]
) -> None:
    params = YAML(typ="safe").load(PROJECT / "params.yaml")
    params["augment"] |= {"copies": copies, "target_per_class": None, "balance": "none"}
    YAML().dump(params, tmp_path / "params.yaml")
    for folder in ("data", "metrics"):
        (tmp_path / folder).mkdir()
    (tmp_path / "metrics" / "split.json").write_text('{"strategy": "grouped"}')
    np.save(tmp_path / "data" / "cells.npy", np.full((5, 32, 32, 3), 200, np.uint8))
    rows = [f"{n},MONOCYTE,{n},{'train' if n < 4 else 'test'}" for n in range(5)]
    (tmp_path / "data" / "split.csv").write_text("\n".join(["id,label,group,split", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    main()
    counts = json.loads((tmp_path / "metrics" / "augment.json").read_text())
    assert counts == {"images": sum(expected.values()), "classes": {"MONOCYTE": expected}}
    table = pd.read_csv(tmp_path / "data" / "train.csv", dtype={"id": str})
    assert table["kind"].value_counts().to_dict() == expected
    assert table["id"].tolist() == ["0", "1", "2", "3"] * (1 + copies)
    assert len(np.load(tmp_path / "data" / "train.npy")) == len(table)
    assert (tmp_path / "metrics" / "figures" / "augment" / "views.png").stat().st_size > 0
