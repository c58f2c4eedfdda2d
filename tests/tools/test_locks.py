import subprocess
import sys
import time
from pathlib import Path

import pytest

from wbc.tools.locks import held

HOLDER = """
import pathlib, time
from wbc.tools.locks import held
with held(pathlib.Path("folder/lock"), waiting="waits"):
    pathlib.Path("holding").touch()
    time.sleep({seconds})
    pathlib.Path("done").touch()
"""


def hold(folder: Path, *, seconds: float) -> "subprocess.Popen[bytes]":
    """Start a process that holds the lock for so many seconds; return it once it does."""
    other = subprocess.Popen([sys.executable, "-c", HOLDER.format(seconds=seconds)], cwd=folder)
    while not (folder / "holding").exists():
        assert other.poll() is None
        time.sleep(0.01)
    return other


def test_one_waits_for_the_other_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = hold(tmp_path, seconds=1)
    with held(tmp_path / "folder" / "lock", waiting="waits for the other"):
        assert (tmp_path / "done").exists()
    assert other.wait() == 0
    assert capsys.readouterr().err == "waits for the other\n"
    assert not (tmp_path / "folder" / "lock").exists()


def test_nobody_waits_for_a_killed_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = hold(tmp_path, seconds=60)
    other.kill()
    other.wait()
    with held(tmp_path / "folder" / "lock", waiting="waits for the other"):
        pass
    assert capsys.readouterr().err == ""


def test_who_waits_is_not_fooled_by_a_lock_that_was_removed(tmp_path: Path) -> None:
    """Five processes add one to a number in a file, each after the other."""
    (tmp_path / "number").write_text("0")
    code = (
        "import pathlib, time; from wbc.tools.locks import held\n"
        "for _ in range(5):\n"
        "    with held(pathlib.Path('folder/lock'), waiting=''):\n"
        "        number = int(pathlib.Path('number').read_text()); time.sleep(0.005)\n"
        "        pathlib.Path('number').write_text(str(number + 1))\n"
    )
    crowd = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) for _ in range(4)]
    assert [one.wait() for one in crowd] == [0] * 4
    assert (tmp_path / "number").read_text() == "20"
