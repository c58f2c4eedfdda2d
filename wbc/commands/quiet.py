"""Keeps libraries from talking between the lines of a command."""

import logging
import os


def be_quiet() -> None:
    """Keep MLflow from reporting the use of itself and the 60 migrations of a fresh database, TensorFlow from hints.

    To be called before either is imported.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name, level in {"alembic": logging.WARNING, "mlflow": logging.ERROR}.items():
        logging.getLogger(name).setLevel(level)
