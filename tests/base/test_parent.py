import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

CHILD = "import pathlib, time, wbc.base.parent as p; p.end_with_dvc(); pathlib.Path('ready').touch(); time.sleep(60)"
# Stands for DVC, which calls a shell that gives its place to the stage.
SHELL = """'/bin/sh', '-c', 'exec "$0" -c "$1"'"""
PARENT = f"import subprocess, sys; subprocess.run([{SHELL}, sys.executable, {CHILD!r}])"


def start(folder: Path, **variables: str) -> tuple["subprocess.Popen[str]", psutil.Process]:
    """Start a parent with a child that watches it; return both once the child does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")} | variables
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: (folder / "ready").exists())
    (child,) = psutil.Process(parent.pid).children()
    return parent, child


def wait_for(condition: Callable[[], bool]) -> None:
    patience = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < patience
        time.sleep(0.05)


def test_a_stage_ends_when_its_dvc_is_killed(tmp_path: Path) -> None:
    parent, child = start(tmp_path, DVC_STAGE="train")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    psutil.wait_procs([child], timeout=60)
    assert not child.is_running()
    assert parent.stderr is not None
    assert f"train: DVC, process {parent.pid}, is gone" in parent.stderr.read()


@pytest.mark.parametrize("variables", [{"DVC_STAGE": "train"}, {}])
def test_a_stage_goes_on_while_its_parent_lives(tmp_path: Path, variables: dict[str, str]) -> None:
    parent, child = start(tmp_path, **variables)
    time.sleep(2)
    assert child.is_running()
    parent.kill()
    child.kill()


def test_a_stage_run_by_hand_outlives_its_shell(tmp_path: Path) -> None:
    parent, child = start(tmp_path)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    time.sleep(2)
    assert child.is_running()
    child.kill()
