"""Ends a stage whose DVC is gone: a killed DVC leaves it at work, beside the one that the next DVC starts."""

import os
import sys
import threading
import time

_INTERVAL = 0.5  # s


def end_with_dvc() -> None:
    """Watch the parent of this process and end, as if killed, when it is gone; only where the parent is DVC.

    A stage run by hand may outlive its shell. To be called before anything heavy is imported, while DVC is still there.
    """
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_outlive, args=(os.getppid(),), daemon=True).start()


def _outlive(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_INTERVAL)
    try:
        print(f"{os.environ['DVC_STAGE']}: DVC, process {parent}, is gone: this stage ends as well", file=sys.stderr)
    finally:  # nobody may be left to read it
        os._exit(1)
