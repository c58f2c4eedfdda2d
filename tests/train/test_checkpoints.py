import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wbc.train.checkpoints import checkpoint_path, held_checkpoint, load_checkpoint, remove_checkpoint, save_checkpoint


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def test_what_was_saved_is_loaded_until_it_is_removed(tmp_path: Path) -> None:
    path = checkpoint_path(files=[], params={"seed": 1})
    assert path.is_relative_to(tmp_path / ".checkpoints")
    assert load_checkpoint(path) is None
    save_checkpoint(path, {"weights": np.array([1.5, 2.5])})
    save_checkpoint(path, {"weights": np.array([3.5])})
    loaded = load_checkpoint(path)
    assert loaded is not None
    np.testing.assert_array_equal(loaded["weights"], [3.5])
    remove_checkpoint(path)
    assert not path.parent.exists()


def test_a_kill_while_writing_leaves_the_checkpoint_before() -> None:
    path = checkpoint_path(files=[], params={})
    save_checkpoint(path, {"epoch": np.array(1)})

    class Killed(BaseException):
        pass

    class Fatal:
        def __array__(self, *_: object, **__: object) -> np.ndarray:
            raise Killed

    with pytest.raises(Killed):
        save_checkpoint(path, {"epoch": np.array(2), "rest": Fatal()})  # type: ignore[dict-item]
    loaded = load_checkpoint(path)
    assert loaded is not None
    assert loaded["epoch"] == 1


def test_the_path_changes_with_params_and_data(tmp_path: Path) -> None:
    data = tmp_path / "train.npy"
    data.write_bytes(b"one")
    first = checkpoint_path(files=[data], params={"seed": 1})
    assert checkpoint_path(files=[data], params={"seed": 1}) == first
    assert checkpoint_path(files=[data], params={"seed": 2}) != first
    data.write_bytes(b"two")
    assert checkpoint_path(files=[data], params={"seed": 1}) != first
    data.write_bytes(b"one")


@pytest.mark.parametrize("file", ["main.py", "own/network.py", "own/layers.py"])
def test_the_path_changes_with_the_code_that_is_loaded(tmp_path: Path, file: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "layers.py").write_text("width = 3\n")
    (tmp_path / "own" / "network.py").write_text("from own.layers import width\n")
    main = (
        "import own.network; from wbc.train.checkpoints import checkpoint_path\n"
        "print(checkpoint_path(files=[], params=1))\n"
    )
    (tmp_path / "main.py").write_text(main)

    def key() -> bytes:
        return subprocess.run([sys.executable, "main.py"], cwd=tmp_path, check=True, capture_output=True).stdout

    first = key()
    assert key() == first
    with (tmp_path / file).open("a") as edited:
        edited.write("# edited\n")
    assert key() != first


def test_a_checkpoint_is_held_until_it_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint_path(files=[], params={})
    code = (
        "import pathlib, sys, time; from wbc.train.checkpoints import *; import numpy\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "with held_checkpoint(path):\n"
        "    save_checkpoint(path, {'epoch': numpy.array(1)}); time.sleep(1); remove_checkpoint(path)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)]) as other:
        while not path.exists():
            assert other.poll() is None
            time.sleep(0.01)
        with held_checkpoint(path):
            assert load_checkpoint(path) is None
            remove_checkpoint(path)
    assert f"waits for another training of the same, whose state is in {path.parent}" in capsys.readouterr().err
    assert not list(path.parents[1].iterdir())
