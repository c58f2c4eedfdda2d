from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages import download

ROOT = Path(__file__).parents[2]


def test_one_class_alone_stops_at_once_in_words(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "own" / "images").mkdir(parents=True)
    (project / "own" / "images" / "1.png").touch()
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["data"] = {"source": "folders", "groups": {"file": str(ROOT / params["data"]["groups"]["file"])}}
    params["sources"]["folders"]["path"] = "own"
    YAML().dump(params, project / "params.yaml")
    monkeypatch.chdir(project)
    with pytest.raises(ValueError, match=r"only one class, IMAGES, and a classifier needs two or more"):
        download.main()
    assert not (project / "data" / "raw").exists()
