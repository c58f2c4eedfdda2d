"""The store that MLflow keeps for this project."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import (
    LifecycleStage,
)
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLoggedModel, SqlRun
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy import Engine, create_engine, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from wbc.base.root import project_root
from wbc.tracking.store import database, tracking_uri

if TYPE_CHECKING:
    pass


ARTIFACTS = "mlartifacts"  # the folder in the project


_LOCATIONS: tuple[InstrumentedAttribute[str], ...] = (
    SqlExperiment.artifact_location,
    SqlRun.artifact_uri,
    SqlLoggedModel.artifact_location,
    SqlModelVersion.storage_location,
)


class DeletedExperimentError(ValueError):
    """The message says how to bring the experiment back."""


def connect() -> MlflowClient:
    """Return a client that gives up within seconds where MLflow by itself would try for minutes."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # s
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(tracking_uri())
    with one_at_a_time():
        if urlsplit(tracking_uri()).scheme.partition("+")[0] not in DATABASE_ENGINES:
            return MlflowClient()
        engine = create_engine(tracking_uri())
        engine.connect().close()
        client = MlflowClient()  # sets up a new database
        if (path := database()) and path.parent.resolve() == project_root().resolve():
            _follow_project(engine)
        return client


def _follow_project(engine: Engine) -> None:
    """Have a database say where its artifacts are after the project that holds both was renamed or copied.

    MLflow itself records absolute paths and has no way to change them.
    """
    with engine.begin() as connection:
        recorded: Sequence[str] = connection.scalars(select(SqlExperiment.artifact_location)).all()
        for former in {location.partition(f"/{ARTIFACTS}")[0] for location in recorded if f"/{ARTIFACTS}" in location}:
            if _has_moved(former):
                present = project_root().as_uri() if former.startswith("file:") else str(project_root())
                for column in _LOCATIONS:
                    below = column.startswith(f"{former}/{ARTIFACTS}", autoescape=True)
                    moved = {column.key: func.replace(column, former, present)}
                    connection.execute(update(column.class_).where(below).values(moved))


def _has_moved(former: str) -> bool:
    """Tell whether the project is no longer in the folder ``former``, a path or URI: a copy has its own artifacts."""
    if urlsplit(former).scheme not in ("", "file"):
        return False
    there, here = (root / ARTIFACTS for root in (Path(local_file_uri_to_path(former)), project_root()))
    return not there.exists() or (here.exists() and not here.samefile(there))


def one_at_a_time() -> FileLock:
    """Return the lock for what fails when two processes do it at once: to set up a database, to complete a run.

    It is beside the database, which several projects may share.
    """
    path = database()
    shared = path is not None and path.parent.is_dir() and os.access(path.parent, os.W_OK)
    return FileLock(f"{path}.lock" if shared else project_root() / "mlflow.db.lock")


def find_experiment(client: MlflowClient, name: str) -> str | None:
    """Return the id of the experiment ``name``, None if there is none. Raises DeletedExperimentError."""
    experiment = client.get_experiment_by_name(name)
    if experiment and experiment.lifecycle_stage == LifecycleStage.DELETED:
        number = experiment.experiment_id
        raise DeletedExperimentError(
            f"the experiment {name} is deleted in MLflow: "
            f"`mlflow experiments restore --experiment-id {number}` brings it back with its runs"
        )
    return experiment.experiment_id if experiment else None
