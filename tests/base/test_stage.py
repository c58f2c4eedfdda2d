import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wbc.base.stage import HOLDER, run_stage


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


def test_the_traceback_is_there_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WBC_TRACEBACK", "1")
    with pytest.raises(ValueError, match="MONOCITE"):
        run_stage("clean", fail)


def occupy(folder: Path, *, seconds: float) -> "subprocess.Popen[bytes]":
    """Start a stage in a process of its own; return it once the stage is at work."""
    program = f"import time, wbc.base.stage; wbc.base.stage.run_stage('clean', lambda: time.sleep({seconds}))"
    other = subprocess.Popen([sys.executable, "-c", program], cwd=folder)
    while not (folder / HOLDER).exists():
        assert other.poll() is None
        time.sleep(0.01)
    return other


def test_a_stage_does_not_work_beside_another_and_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("wbc.base.stage.PATIENCE", 0.1)
    other = occupy(tmp_path, seconds=60)
    holder = rf"the stage clean, process {other.pid}, at work since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d"
    with pytest.raises(SystemExit, match=rf"^train: {re.escape(str(tmp_path))} is in use by {holder}: wait for its"):
        run_stage("train", Path("worked").touch)
    other.kill()
    other.wait()
    assert not Path("worked").exists()


def test_a_stage_waits_for_another_that_ends_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    other = occupy(tmp_path, seconds=1)
    run_stage("train", Path("worked").touch)
    assert other.wait() == 0
    assert Path("worked").exists()
    timing = {name: json.loads(Path(f"metrics/.timing/{name}.json").read_text()) for name in ("clean", "train")}
    assert timing["train"]["started"] >= timing["clean"]["started"] + timing["clean"]["seconds"]
    assert "train: waits for the stage clean, process" in capsys.readouterr().err


def test_a_killed_stage_leaves_its_folder_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("wbc.base.stage.PATIENCE", 0.1)
    other = occupy(tmp_path, seconds=60)
    other.kill()
    other.wait()
    run_stage("train", Path("worked").touch)
    assert Path("worked").exists()
    assert not HOLDER.exists()


def test_stages_in_other_folders_do_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wbc.base.stage.PATIENCE", 0.1)
    (tmp_path / "clone").mkdir()
    other = occupy(tmp_path, seconds=60)
    monkeypatch.chdir(tmp_path / "clone")
    run_stage("clean", Path("worked").touch)
    other.kill()
    other.wait()
    assert Path("worked").exists()
