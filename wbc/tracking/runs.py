"""Reads back what MLflow has recorded of runs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import mlflow
from mlflow.entities import (
    Run,
)

from wbc.tracking.connection import connect, find_experiment
from wbc.tracking.record import (
    read_locked,
)

if TYPE_CHECKING:
    import pandas as pd


MODELS = "wbc"  # the experiment of trained models, one row each
MOST = 50_000  # runs, as many as MLflow finds in one call


def read_runs(files: Sequence[str] = ()) -> "pd.DataFrame":
    """Return parameters, metrics, tags and ``run_id`` of the evaluated models that MLflow has recorded.

    One row for each run, the latest first; only those that were trained on these ``files`` of dvc.lock.
    Raises DeletedExperimentError, and MLflow's errors as they come.
    """
    import pandas as pd  # here, because `publish` does without

    conditions = [f"tags.`dep.{path}` = '{md5}'" for path, md5 in read_locked(files).items()]
    client = connect()
    experiment = find_experiment(client, MODELS)
    query = " and ".join([*conditions, "tags.`published.evaluate` != ''"])
    found = (
        client.search_runs([experiment], query, max_results=MOST, order_by=["start_time DESC"]) if experiment else []
    )
    return pd.DataFrame(
        [{**run.data.params, **run.data.metrics, **run.data.tags, "run_id": run.info.run_id} for run in found]
    )


def read_artifact(run_id: str, path: str) -> str:
    """Return the text of the artifact ``path`` of a run. Raises MLflow's errors and OSError as they come."""
    connect()
    return mlflow.artifacts.load_text(f"runs:/{run_id}/{path}")


def read_values(run_id: str, metric: str) -> list[float]:
    """Return all values of a ``metric`` of a run, as many as the times that it was logged. Raises MLflow's errors."""
    return [point.value for point in connect().get_metric_history(run_id, metric)]


def agrees(run: Run, params: Mapping[str, str]) -> bool:
    """Tell whether ``run`` has no other value for one of ``params``; one that is absent there is no other value."""
    return all(run.data.params.get(name, value) == value for name, value in params.items())
