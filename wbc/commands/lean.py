"""Keeps a command that others wait for from loading what it does not use."""

import gc
import sys


def be_lean() -> None:
    """Have MLflow do without pandas, pyarrow and scipy, as its edition mlflow-skinny does.

    To be called before mlflow is imported, by a command that uses none of them and ends within seconds: the garbage
    that the imports leave is not collected either.
    """
    gc.disable()
    for name in ("pandas", "pyarrow", "scipy"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # importing it is then an ImportError
