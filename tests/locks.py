"""A dvc.lock for results that a test has made up."""

import hashlib
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

MAKERS = {"evaluation.json": "evaluate", "predictions.csv": "evaluate", "external.json": "external"}


def write_lock(home: Path, *, metrics: Path | None = None, **params: dict[str, Any]) -> None:
    """Write ``home``/dvc.lock, by which stages made the files in ``metrics``, each with its ``params`` by its name."""
    outs: dict[str, list[dict[str, str]]] = {"train": [{"path": "models/model.keras", "md5": "abcdef"}], "evaluate": []}
    for path in sorted((metrics or home / "metrics").glob("*.*")):
        stage = MAKERS.get(path.name, path.stem)
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        outs.setdefault(stage, []).append({"path": f"metrics/{path.name}", "md5": md5})
    stages: dict[str, dict[str, Any]] = {stage: {"cmd": "x", "outs": files} for stage, files in outs.items()}
    stages["explain"] = {"cmd": "x", "outs": [{"path": "metrics/figures/explain", "md5": "1.dir"}]}
    for stage, values in params.items():
        stages[stage]["params"] = {"params.yaml": values}
    stages["train"]["deps"] = [{"path": f"data/{name}", "md5": name} for name in ("cells.npy", "split.csv")]
    stages["evaluate"]["deps"] = [{"path": "models/model.keras", "md5": "abcdef"}]
    YAML(typ="safe").dump({"schema": "2.0", "stages": stages}, home / "dvc.lock")
