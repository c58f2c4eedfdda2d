"""Keeps libraries from talking between the lines of a command."""

import logging
import os


def be_quiet() -> None:
    """Keep MLflow from reporting the use of itself and the 60 migrations of a fresh database.

    To be called before it is imported.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for name, level in {"alembic": logging.WARNING, "mlflow": logging.ERROR}.items():
        logging.getLogger(name).setLevel(level)
