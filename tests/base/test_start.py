"""What is heard of TensorFlow when a module of the project is the first to import it."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SAYS_AND_CRASHES = """
import os
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
os.write(2, b"I0000 00:00:1795 7960 port.cc:153] oneDNN custom operations are on.\\n")
os.write(2, b"F0000 00:00:1795 7960 cpu_feature_guard.cc:21] compiled to use AVX, not available on your machine.\\n")
os.abort()
"""
SAYS_ITS_LEVEL = "import os, sys; print(os.environ['TF_CPP_MIN_LOG_LEVEL'], file=sys.stderr)"


def start(content: str, *, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Import a TensorFlow of this ``content`` after the project, in a process of its own."""
    (folder / "tensorflow.py").write_text(content)
    inherited = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment = inherited | {"PYTHONPATH": str(folder)} | variables
    command = [sys.executable, "-c", "import wbc, tensorflow"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_what_stops_tensorflow_is_heard_and_its_remarks_are_not(tmp_path: Path) -> None:
    done = start(SAYS_AND_CRASHES, folder=tmp_path)
    assert done.returncode == -signal.SIGABRT
    [line] = done.stderr.splitlines()
    assert line.startswith("F0000 ")


def test_an_exception_of_tensorflow_is_heard(tmp_path: Path) -> None:
    done = start("raise ImportError('libstdc++ is too old')", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("ImportError: libstdc++ is too old\n")


def test_all_is_heard_on_request(tmp_path: Path) -> None:
    done = start(SAYS_AND_CRASHES, folder=tmp_path, TF_CPP_MIN_LOG_LEVEL="0")
    assert [line[:5] for line in done.stderr.splitlines()] == ["WARNI", "I0000", "F0000"]


def test_warnings_are_heard_where_a_driver_of_graphics_cards_is(tmp_path: Path) -> None:
    library = importlib.util.find_spec("markupsafe._speedups")  # any will do: it is opened and not called
    assert library is not None
    assert library.origin is not None
    shutil.copy(library.origin, tmp_path / "libcuda.so.1")
    assert start(SAYS_ITS_LEVEL, folder=tmp_path, LD_LIBRARY_PATH=str(tmp_path)).stderr == "1\n"


@pytest.mark.parametrize("level", ["1", "2", "3"])
def test_a_level_that_is_set_stays(tmp_path: Path, level: str) -> None:
    assert start(SAYS_ITS_LEVEL, folder=tmp_path, TF_CPP_MIN_LOG_LEVEL=level).stderr == f"{level}\n"
