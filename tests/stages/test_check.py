from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.check import main
from wbc.base.params import ParamsError

ROOT = Path(__file__).parents[2]
MARK = Path("data/params-checked.txt")


def test_a_valid_file_is_marked_as_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    main()
    assert MARK.read_text() == "params.yaml is valid\n"


def test_a_wrong_file_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["model"] = "compact_cn"
    YAML().dump(params, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match="nearest: compact_cnn"):
        main()
    assert not MARK.exists()
