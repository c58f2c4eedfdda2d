"""Checkpoints outside of DVC's outs, which DVC deletes before a run; their key changes with code, data and params."""

import hashlib
import json
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from wbc.base.files import written_aside
from wbc.base.root import project_root
from wbc.tools.locks import held

Arrays = dict[str, np.ndarray]

_INSTALLED = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib", "scripts"))


def checkpoint_path(*, files: Iterable[Path], params: Any) -> Path:
    """Return where the training of these ``files`` with these JSON-like ``params`` by this very code is kept.

    The code is what is loaded of this project and of the user's own, and the versions of the numerical libraries.
    """
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode())
    for library in ("keras", "numpy", "tensorflow"):
        digest.update(version(library).encode())
    for path in [*_loaded_code(), *sorted(files)]:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return project_root() / ".checkpoints" / digest.hexdigest()[:16] / "state.npz"


def _loaded_code() -> list[Path]:
    """Return the files of all loaded modules, sorted, but those of Python and of installed packages."""
    modules = [getattr(module, "__dict__", {}) for module in [*sys.modules.values()]]  # no lazy one is loaded by this
    loaded = {file for content in modules if (file := content.get("__file__"))}
    ours = str(Path(__file__).parent)  # which may be installed as well
    return sorted(Path(file) for file in loaded if file.startswith(ours) or not file.startswith(_INSTALLED))


@contextmanager
def held_checkpoint(path: Path) -> Iterator[None]:
    """Hold the checkpoint at ``path`` against another training of the same, such as a queued one; wait for its end."""
    waiting = f"waits for another training of the same, whose state is in {path.parent}"
    with held(path.parent.with_suffix(".lock"), waiting=waiting):
        yield


def save_checkpoint(path: Path, arrays: Arrays) -> None:
    """Write the state after a whole epoch, aside and renamed: a kill leaves this state or the one before."""
    with written_aside(path) as aside:
        np.savez(aside, allow_pickle=False, **arrays)


def load_checkpoint(path: Path) -> Arrays | None:
    """Return the arrays kept at ``path``, or None where there is no checkpoint."""
    if not path.exists():
        return None
    with np.load(path) as state:
        return dict(state.items())


def remove_checkpoint(path: Path) -> None:
    """Remove the checkpoint and its folder, once what it led to is safely written."""
    shutil.rmtree(path.parent, ignore_errors=True)
