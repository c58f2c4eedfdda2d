import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.weights import main

ROOT = Path(__file__).parents[2]
RECORD = Path("models/pretrained/weights.json")


@pytest.mark.parametrize(("weights", "warned"), [("random", False), ("auto", True)])
def test_weights_that_cannot_be_had_are_said_to_be_random(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], weights: str, warned: bool
) -> None:
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["model"] = "mobilenetv3"
    params["models"]["mobilenetv3"] |= {"weights": weights, "trainable": "all"}
    YAML().dump(params, project / "params.yaml")
    monkeypatch.chdir(project)
    for name in ("WBC_MIRROR", "KERAS_HOME"):
        (project / name).mkdir()
        monkeypatch.setenv(name, str(project / name))
    main()
    record = json.loads(RECORD.read_text())
    assert (record["weights_requested"], record["weights_used"]) == (weights, "random")
    assert ("mobilenetv3 starts from RANDOM weights" in capsys.readouterr().err) == warned
