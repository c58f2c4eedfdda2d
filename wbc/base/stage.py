"""Runs a stage: alone in its folder, its errors as one clear message, its duration in a file that is no result.

What it made is shown in MLflow at its end, by a process that has done its slow imports meanwhile.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from filelock import FileLock, Timeout

from wbc.base.files import write_json

TIMING = Path("metrics/.timing")  # seconds differ from run to run, so they stay out of DVC's outs
LOCK, HOLDER = Path(".stage.lock"), Path(".stage.json")
PATIENCE = 30.0  # s, many times what a stage takes to notice that its DVC was killed


def run_stage(name: str, main: Callable[[], dict[str, float] | None], *, published: bool = True) -> None:
    """Call ``main`` and write metrics/.timing/<name>.json: ``started``, ``seconds`` and what ``main`` returned.

    Under DVC the files of a ``published`` stage are then shown in MLflow; that never fails the stage.
    Wrong parameters, unusable data, unreachable files and another stage at work in the working directory end the
    process with status 1 and their message alone; with WBC_TRACEBACK set they are raised.
    """
    try:
        with _publisher(name) if published and "DVC_STAGE" in os.environ else nullcontext(), _alone(name):
            started = time.time()
            figures = main() or {}
            seconds = time.time() - started
            write_json(TIMING / f"{name}.json", {"started": started, "seconds": seconds, **figures})
    except (OSError, ValueError) as error:
        if "WBC_TRACEBACK" in os.environ:
            raise
        sys.exit(f"{name}: {error}")


@contextmanager
def _publisher(name: str) -> Iterator[None]:
    """Start `wbc publish` beside the stage, tell it to publish once the stage has ended well, and wait for it.

    It loads MLflow and DVC in those first seconds of a stage that use one core. It ends when the pipe from the stage
    does: nothing is published of a stage that fails or is killed.
    """
    publisher = subprocess.Popen(["wbc", "publish", name, "--when-told"], stdin=subprocess.PIPE)
    try:
        yield
        publisher.communicate(b"now\n")
    finally:
        publisher.kill()
        publisher.wait()


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold the working directory against other stages. Raises OSError naming the one that does not let go of it."""
    lock = FileLock(LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{name}: waits for {_describe_holder()}", file=sys.stderr)
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout as error:
            raise OSError(f"{Path.cwd()} is in use by {_describe_holder()}: wait for its end, or end it") from error
    try:
        write_json(HOLDER, {"stage": name, "process": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")})
        yield
    finally:
        HOLDER.unlink(missing_ok=True)
        lock.release()


def _describe_holder() -> str:
    try:
        holder = json.loads(HOLDER.read_text())
    except FileNotFoundError:  # it is about to write the file, or to let go
        return "another stage"
    return f"the stage {holder['stage']}, process {holder['process']}, at work since {holder['since']}"
