"""Where MLflow keeps its records: a light module, so that a command can ask before it imports mlflow."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from wbc.base.root import project_root

_NAMES = ("databricks", "databricks-uc", "uc")  # what MLflow takes for a server though it looks like a folder


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI if set, else the database in the main workspace.

    A relative path in it means the main workspace: a stage may work in a clone that is deleted with what it wrote.
    """
    return _anchor(os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db")


def database() -> Path | None:
    """Return the SQLite file that is the store; None where it is a server, a folder or in memory."""
    found = re.fullmatch(r"sqlite(?:\+\w+)?:///(?!:)([^?]+)(?:\?.*)?", tracking_uri())
    return Path(found[1]) if found else None


def has_store() -> bool:
    """Tell whether a store is named, or the database in the main workspace is there."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (project_root() / "mlflow.db").exists()


def _anchor(uri: str) -> str:
    """Return ``uri`` with an absolute path, if it leads to a file or folder at all."""
    if database := re.fullmatch(r"(sqlite(?:\+\w+)?:///)(?![/:])(.+)", uri):
        return f"{database[1]}{project_root() / database[2]}"
    if uri.startswith("file:"):
        path = uri.removeprefix("file:")
        return uri if path.startswith("/") else (project_root() / unquote(path)).as_uri()
    if urlsplit(uri).scheme or uri in _NAMES:
        return uri
    return str(project_root() / uri)
