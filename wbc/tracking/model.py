"""Logs a model as MLflow loads and serves it."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.entities import (
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
)
from mlflow.tracking.context.registry import resolve_tags

from wbc.tracking.model_folder import write_model_folder

if TYPE_CHECKING:
    pass


BATCH = 100  # as many parameters or tags as MLflow takes in one call


def log_model(client: MlflowClient, run_id: str, *, path: Path, cells: Path, classes: Sequence[str]) -> str:
    """Log the Keras model at ``path`` byte for byte, so that MLflow can load and serve it; return its id there.

    Its signature, from images to the probabilities of ``classes``, comes with it, and as input example the first of the
    images at ``cells``, or a black one where these are not images for this model.
    """
    run = client.get_run(run_id)
    model = client.create_logged_model(
        run.info.experiment_id, name="model", source_run_id=run_id, tags=resolve_tags(), params=run.data.params
    )
    points = (point for metric in run.data.metrics for point in client.get_metric_history(run_id, metric))
    measured = [
        Metric(point.key, point.value, point.timestamp, 0, model_id=model.model_id, run_id=run_id)
        for point in points
        if point.step == 0
    ]
    for first in range(0, len(measured), BATCH):
        client.log_batch(run_id, metrics=measured[first : first + BATCH])
    described = {"artifact_path": model.artifact_location, "model_id": model.model_id, "run_id": run_id}
    with TemporaryDirectory() as folder:
        write_model_folder(Path(folder), model=path, cells=cells, classes=len(classes), described=described)
        client.log_model_artifacts(model.model_id, folder)
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])  # last: a run has whole models only
    return model.model_id
