import json
from pathlib import Path

import pytest

from wbc.stage import run_stage


def fail() -> None:
    raise ValueError("no class MONOCITE: use MONOCYTE")


def test_the_duration_is_written_beside_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_stage("train", lambda: {"images_per_second": 37.5})
    timing = json.loads(Path("metrics/.timing/train.json").read_text())
    assert timing["images_per_second"] == 37.5
    assert 0 <= timing["seconds"] < 5


def test_a_users_error_ends_with_its_message_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="clean: no class MONOCITE: use MONOCYTE"):
        run_stage("clean", fail)
    assert not Path("metrics").exists()


def test_the_traceback_is_there_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WBC_TRACEBACK", "1")
    with pytest.raises(ValueError, match="MONOCITE"):
        run_stage("clean", fail)
