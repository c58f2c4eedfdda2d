"""Runs a stage: its errors as one clear message, its duration in a file that is no result."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from wbc.files import write_json

TIMING = Path("metrics/.timing")  # seconds differ from run to run, so they stay out of DVC's outs


def run_stage(name: str, main: Callable[[], dict[str, float] | None]) -> None:
    """Call ``main`` and write metrics/.timing/<name>.json: ``started``, ``seconds`` and what ``main`` returned.

    Wrong parameters, unusable data and unreachable files end the process with status 1 and their message alone;
    with WBC_TRACEBACK set they are raised.
    """
    started = time.time()
    try:
        figures = main() or {}
    except (OSError, ValueError) as error:
        if "WBC_TRACEBACK" in os.environ:
            raise
        sys.exit(f"{name}: {error}")
    write_json(TIMING / f"{name}.json", {"started": started, "seconds": time.time() - started, **figures})
