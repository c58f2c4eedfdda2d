"""Keeps processes apart that would write the same files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def held(lock: Path, *, waiting: str) -> Iterator[None]:
    """Hold the file ``lock``, made with its folder; where another process does, say ``waiting`` and wait for its end.

    The system lets go of it when a process is killed. The file is removed at the end.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    file = FileLock(lock)
    try:
        file.acquire(timeout=0)
    except Timeout:
        print(waiting, file=sys.stderr)
        file.acquire()
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # while it is held: filelock takes no file that is gone, and looks for a new one
        file.release()
