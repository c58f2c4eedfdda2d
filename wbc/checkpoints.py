"""Checkpoints outside of DVC's outs, which DVC deletes before a run; their key changes with code, data and params."""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from wbc.files import written_aside
from wbc.root import project_root

Arrays = dict[str, np.ndarray]


def checkpoint_path(*, files: Iterable[Path], params: Any) -> Path:
    """Return where the training of these ``files`` with these JSON-like ``params`` by this very code is kept.

    The code is every module of this project that is loaded, and the versions of the numerical libraries.
    """
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] in {"wbc", "stages"}]
    code = {Path(file) for module in modules if (file := getattr(module, "__file__", None))}
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode())
    for library in ("keras", "numpy", "tensorflow"):
        digest.update(version(library).encode())
    for path in [*sorted(code), *sorted(files)]:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return project_root() / ".checkpoints" / digest.hexdigest()[:16] / "state.npz"


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
