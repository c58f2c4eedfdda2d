"""Where MLflow keeps its records: a light module, so that a command can ask before it imports mlflow."""

import os

from wbc.root import project_root


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI if set, else the database in the main workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project_root() / 'mlflow.db'}"


def has_store() -> bool:
    """Tell whether a store is named, or the database in the main workspace is there."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (project_root() / "mlflow.db").exists()
