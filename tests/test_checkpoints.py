from pathlib import Path

import numpy as np
import pytest

from wbc.checkpoints import checkpoint_path, load_checkpoint, remove_checkpoint, save_checkpoint


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


def test_the_path_changes_with_params_data_and_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "train.npy"
    data.write_bytes(b"one")
    first = checkpoint_path(files=[data], params={"seed": 1})
    assert checkpoint_path(files=[data], params={"seed": 1}) == first
    assert checkpoint_path(files=[data], params={"seed": 2}) != first
    data.write_bytes(b"two")
    assert checkpoint_path(files=[data], params={"seed": 1}) != first
    data.write_bytes(b"one")
    code = tmp_path / "wbc_model.py"
    code.write_text("answer = 42\n")
    import wbc.checkpoints

    monkeypatch.setattr(wbc.checkpoints, "__file__", str(code))
    assert checkpoint_path(files=[data], params={"seed": 1}) != first
