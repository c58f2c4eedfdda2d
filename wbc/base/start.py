"""What must be settled before numpy and TensorFlow are loaded; importing any module of the package does it.

Every x86 processor computes the same bytes: numerical libraries read these settings while they are loaded, and what is
set already stays. TensorFlow starts without its remarks on what it was built with and does not find;
TF_CPP_MIN_LOG_LEVEL=0 shows them.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

SAME_ON_EVERY_PROCESSOR = {
    "TF_ENABLE_ONEDNN_OPTS": "1",  # TensorFlow by itself takes oneDNN's faster kernels on some processors only
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # wider instructions sum in another order
    "OPENBLAS_CORETYPE": "Haswell",  # likewise
}

# What TensorFlow writes while it is loaded, before it reads TF_CPP_MIN_LOG_LEVEL: information, and the head above it.
_REMARKS = "^(I0000 |WARNING: All log messages before absl::InitializeLog)"


class _QuietStart(MetaPathFinder):
    """Has TensorFlow imported without its remarks, by whichever module is the first that needs it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where TensorFlow is, with a loader that is quiet, and None for every other module."""
        spec = PathFinder.find_spec(fullname, path) if fullname == "tensorflow" else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_quietly(module: ModuleType) -> None:
            if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _log_level()) == "0":
                execute(module)
                return
            with _without_remarks():
                execute(module)

        spec.loader.exec_module = execute_quietly  # type: ignore[method-assign]
        return spec


def _log_level() -> str:
    """Return 1, which keeps warnings and errors, where NVIDIA's driver is: they say why a card is not used.

    Return 3 where it is not: errors are then that the driver is not found, and that oneDNN lacks a type of number.
    What stops a run is raised or fatal, and shown whatever the level.
    """
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "3"
    return "1"


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Let all through to standard error but the remarks, by another process, which outlives a crash of this one."""
    stderr = os.dup(2)
    with subprocess.Popen(["grep", "-Ev", _REMARKS], stdin=subprocess.PIPE, stdout=stderr) as sieve:
        assert sieve.stdin is not None
        os.dup2(sieve.stdin.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _has_avx2() -> bool:
    """Tell whether the processor knows AVX2; False where the system does not say, as on ARM or macOS."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and " avx2 " in cpuinfo.read_text()


if _has_avx2():
    for _name, _value in SAME_ON_EVERY_PROCESSOR.items():
        os.environ.setdefault(_name, _value)
sys.meta_path.insert(0, _QuietStart())
