"""Measures one side of a comparison in a process of its own, and prints the sides as a table."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from platform import python_version
from typing import Any, NamedTuple

import psutil
from joblib.externals.loky import get_reusable_executor
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

_SAMPLING = 0.2  # s between two looks at the memory


class Measured(NamedTuple):
    """What a function returned, how long it took, and its process's memory in MiB.

    ``peak`` is the most that was resident, pages of mapped files among it; ``before`` is what the interpreter and the
    imported libraries held before the function was called.
    """

    result: Any
    seconds: float
    peak: int
    before: int

    @property
    def grown(self) -> int:
        """MiB that the function itself needed at most."""
        return self.peak - self.before


def measure(function: Callable[..., Any], **arguments: Any) -> Measured:
    """Call ``function``, which a module must name, in a fresh process. Linux only: /proc knows the memory."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        return process.submit(_measure_here, function, arguments).result()


def _measure_here(function: Callable[..., Any], arguments: dict[str, Any]) -> Measured:
    before = _resident("VmRSS")
    started = time.perf_counter()
    result = function(**arguments)
    seconds = time.perf_counter() - started
    return Measured(result, seconds, peak=_resident("VmHWM"), before=before)


def _resident(field: str) -> int:
    """Return a field of /proc/self/status in MiB.

    Not resource.getrusage: a new process inherits its ru_maxrss from the one that started it.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(f"{field}:"))


class MeasuredTree(NamedTuple):
    """What a function returned, how long it took, and the memory of its process and all workers together, in MiB.

    ``own`` is the most that they held beside pages of mapped files, which the kernel takes back when it needs them;
    ``mapped`` is the most with these, a page that several map counted once.
    """

    result: Any
    seconds: float
    processor_seconds: float
    own: int
    mapped: int


def measure_tree(function: Callable[..., Any], **arguments: Any) -> MeasuredTree:
    """Call ``function``, which a module must name, in a fresh process that may start workers. Linux only."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as process:
        return process.submit(_measure_tree_here, function, arguments).result()


def _measure_tree_here(function: Callable[..., Any], arguments: dict[str, Any]) -> MeasuredTree:
    peaks, ended = [0, 0], threading.Event()

    def sample() -> None:
        last = False
        while not last:
            last = ended.wait(_SAMPLING)
            peaks[:] = map(max, peaks, _memory_of_tree())

    sampling = threading.Thread(target=sample)
    sampling.start()
    started, spent = time.perf_counter(), _processor_seconds()
    try:
        result = function(**arguments)
    finally:
        ended.set()
        sampling.join()
    seconds, spent = time.perf_counter() - started, _processor_seconds() - spent
    get_reusable_executor().shutdown()  # joblib's workers, which this process would wait for until they are tired
    return MeasuredTree(result, seconds, spent, own=peaks[0] // 1024, mapped=peaks[1] // 1024)


def _tree() -> list[psutil.Process]:
    return [psutil.Process(), *psutil.Process().children(recursive=True)]


def _processor_seconds() -> float:
    """Return what this process, its workers and those that have ended took."""
    times = []
    for process in _tree():
        with suppress(psutil.Error):
            times.append(process.cpu_times())
    return sum(one.user + one.system for one in times) + times[0].children_user + times[0].children_system


def _memory_of_tree() -> tuple[int, int]:
    """Return KiB of this process and its workers: without and with the pages of mapped files."""
    own = mapped = 0
    for process in _tree():
        with suppress(OSError):  # it ended meanwhile
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]
            sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
            own += sizes["Pss_Anon"] + sizes["Pss_Shmem"]
            mapped += sizes["Pss"]
    return own, mapped


def print_machine(*libraries: str) -> None:
    """Print the number of cores, how busy they are before the measurement, and the versions of ``libraries``."""
    versions = [f"{name} {version(name)}" for name in libraries]
    load = f"load {os.getloadavg()[0]:.1f} at the start"
    print(", ".join([f"{os.cpu_count()} cores", load, f"Python {python_version()}", *versions]), flush=True)


def print_table(*, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows`` below ``header``, as wide as they are; all but the first column are figures."""
    table = Table(box=MARKDOWN)
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(width=160).print(table)
