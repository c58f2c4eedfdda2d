"""Shows in MLflow what the stages' files say, so that what is missing there can be published later from the same files.

Runs are found by content: they carry the MD5 of what a stage read and wrote, as DVC computes it, and its parameters.
"""

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import mlflow
from dvc.dependency.param import ParamsDependency
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.utils.flatten import flatten
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LifecycleStage,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunStatus,
    RunTag,
)
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLoggedModel, SqlRun
from mlflow.tracking.context.registry import resolve_tags
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH
from sqlalchemy import Engine, create_engine, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from wbc.base.root import project_root
from wbc.tracking.model_folder import write_model_folder
from wbc.tracking.store import database, tracking_uri

if TYPE_CHECKING:
    import pandas as pd

MODEL = "models/model.keras"
CELLS = "data/cells.npy"
ARTIFACTS = "mlartifacts"  # the folder in the project
MODELS = "wbc"  # the experiment of trained models, one row each
MODEL_STAGES = ("train", "evaluate", "explain")  # they share one run for each model, the row that people sort
MOST = 50_000  # runs, as many as MLflow finds in one call
BATCH = 100  # as many parameters or tags as MLflow takes in one call
PATIENCE = 30.0  # s that a stage waits for all that it shows, whatever the limits of a single request add up to

_LOCATIONS: tuple[InstrumentedAttribute[str], ...] = (
    SqlExperiment.artifact_location,
    SqlRun.artifact_uri,
    SqlLoggedModel.artifact_location,
    SqlModelVersion.storage_location,
)


class UnknownStageError(ValueError):
    """The message names the stages that there are."""


class DeletedExperimentError(ValueError):
    """The message says how to bring the experiment back."""


class PatienceError(RuntimeError):
    """MLflow takes too long. No TimeoutError, which urllib3 would take for its own and try again."""


@dataclass(frozen=True)
class Record:
    """What one execution of a stage read and wrote: MD5 by path, and the parameters of it and of the stages before."""

    stage: str
    outs: dict[str, str]
    dependencies: dict[str, str]
    inputs: dict[str, str]  # those dependencies that other stages made
    params: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """One MD5 of all paths and contents."""
        return hashlib.md5(json.dumps([self.stage, self.outs, self.dependencies]).encode()).hexdigest()

    @property
    def identity(self) -> tuple[str, str]:
        """The tag and the value that the run must have: the model's MD5, or the fingerprint of a data stage."""
        if self.stage in MODEL_STAGES:
            return f"out.{MODEL}", (self.outs | self.dependencies)[MODEL]
        return "fingerprint", self.fingerprint


def publish(name: str | None = None, *, wait: Callable[[], object] | None = None) -> Iterator[tuple[str, str]]:
    """Complete the run of the stage ``name``, or of every stage, in MLflow; yield each stage and what became of it.

    The stage whose command is running (DVC_STAGE) is read from its files, because dvc.lock is written after the
    command. Others are read from dvc.lock and left out when their files differ from it. Of MODEL_STAGES those before
    ``name`` come first. ``wait`` is called when all is loaded and before a file is read; nothing is published where it
    returns nothing. Raises UnknownStageError, DeletedExperimentError, MLflow's errors as they come, and PatienceError
    or one of MLflow's made of it where a running stage has waited for as long as PATIENCE.
    """
    with Repo() as repo:
        stages = _read_stages(repo)
        stages.pop("check", None)  # makes nothing to look at, and its parameters are the whole file
        if name is not None and name not in stages:
            raise UnknownStageError(f"no stage {name!r} to publish: there are {', '.join(stages)}")
        producers = _read_producers(stages)
        if wait is not None:
            with suppress(Exception):  # a first connection loads the store; one that fails is made again below
                connect()
            if not wait():
                return
        records: dict[str, Record | None] = {}
        for stage in stages if name is None else _up_to(name):
            running = stage == os.environ.get("DVC_STAGE")
            records[stage] = None
            if running or all(out.exists and not out.changed_checksum() for out in stages[stage].outs):
                records[stage] = read_record(stages[stage], producers=producers, from_files=running)
        with _alarm(PATIENCE) if "DVC_STAGE" in os.environ else nullcontext():
            yield from _show(records, folder=Path(repo.root_dir))


def _show(records: Mapping[str, Record | None], *, folder: Path) -> Iterator[tuple[str, str]]:
    """Complete the runs of ``records`` from the files below ``folder``; yield each stage and what became of it."""
    client = connect()
    for stage, record in records.items():
        if record is None:
            yield stage, "left out, its files are not those of dvc.lock: run `dvc repro` or `dvc checkout`"
            continue
        with one_at_a_time():
            alike = [each for each in records.values() if each and each.identity == record.identity]
            outcome = _complete(client, record, alike=alike, folder=folder)
        yield stage, outcome


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise PatienceError in the main thread after so many ``seconds``, whatever it waits for."""

    def give_up(*_: object) -> None:
        raise PatienceError(f"no end after {seconds:g} s")

    handler = signal.signal(signal.SIGALRM, give_up)
    remaining, _ = signal.setitimer(signal.ITIMER_REAL, seconds, 1)  # s, and again if what waits goes on regardless
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, remaining)
        signal.signal(signal.SIGALRM, handler)


def _up_to(name: str) -> Sequence[str]:
    """Return the stages whose files the run of the stage ``name`` shows by then, in their order."""
    return MODEL_STAGES[: MODEL_STAGES.index(name) + 1] if name in MODEL_STAGES else [name]


def _read_stages(repo: Repo) -> dict[str, PipelineStage]:
    return {stage.name: stage for stage in repo.index.stages if isinstance(stage, PipelineStage)}


def _read_producers(stages: Mapping[str, PipelineStage]) -> dict[str, Output]:
    """Return the out at each path that one of ``stages`` makes."""
    return {out.def_path: out for stage in stages.values() for out in stage.outs}


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


def read_locked(files: Sequence[str]) -> dict[str, str]:
    """Return the MD5 that dvc.lock has for each of ``files``, which are dependencies of ``train``."""
    locked = _read_dependencies()
    return {path: locked[path] for path in files}


def list_code() -> list[str]:
    """Return the Python files that are dependencies of ``train``."""
    return [path for path in _read_dependencies() if path.endswith(".py")]


def _read_dependencies() -> dict[str, str]:
    """Return the MD5 in dvc.lock of each dependency of ``train``."""
    with Repo() as repo:
        [train] = (stage for stage in repo.index.stages if stage.addressing == "train")
        return {item.def_path: item.hash_info.value for item in train.deps}


def read_params(names: Sequence[str]) -> dict[str, str]:
    """Return the parameters that dvc.lock has of the stages ``names`` and of those before, as MLflow shows them."""
    with Repo() as repo:
        stages = _read_stages(repo)
        producers = _read_producers(stages)
        return _unite_params([read_record(stages[name], producers=producers) for name in names])


def name_params(record: Record) -> dict[str, str]:
    """Return the parameters of ``record`` as MLflow shows them: those of any model's block begin with ``model.``."""
    block = f"models.{record.params.get('model')}."  # named alike for all models, so that they share columns
    named = {key.replace(block, "model."): _text(value) for key, value in record.params.items()}
    return {key: value[:MAX_PARAM_VAL_LENGTH] for key, value in named.items()}  # MLflow keeps no more


def _unite_params(records: Sequence[Record]) -> dict[str, str]:
    """Return the parameters of all ``records``, the first one's value where they differ (`dvc repro --single-item`)."""
    return {name: value for record in reversed(records) for name, value in name_params(record).items()}


def agrees(run: Run, params: Mapping[str, str]) -> bool:
    """Tell whether ``run`` has no other value for one of ``params``; one that is absent there is no other value."""
    return all(run.data.params.get(name, value) == value for name, value in params.items())


def read_record(stage: PipelineStage, *, producers: Mapping[str, Output], from_files: bool = False) -> Record:
    """Return a stage's hashes and parameters from the working directory or from dvc.lock; ``producers``: outs by path.

    The stages that made the inputs add their parameters, unless they have made something else since.
    """

    def value(item: Output) -> Any:
        return (item.get_hash() if from_files else item.hash_info).value

    files = {item.def_path: value(item) for item in stage.deps if not isinstance(item, ParamsDependency)}
    inputs = {path: md5 for path, md5 in files.items() if path in producers}
    params: dict[str, Any] = {}
    for maker in {producers[path].stage for path, md5 in inputs.items() if producers[path].hash_info.value == md5}:
        params |= read_record(maker, producers=producers, from_files=False).params
    for item in stage.deps:
        if isinstance(item, ParamsDependency):
            params |= flatten(value(item) or {})  # dvc.lock has none of a stage that never ran
    outs = {out.def_path: value(out) for out in stage.outs}
    return Record(stage=stage.name, outs=outs, dependencies=files, inputs=inputs, params=params)


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


def _complete(client: MlflowClient, record: Record, *, alike: Sequence[Record], folder: Path) -> str:
    """Add what the run of ``record`` lacks, from the files below ``folder``; return what was done, for people.

    ``alike`` are the records that share the run, this one among them. Until all is there the run is shown as FAILED,
    and not as one that has this stage: whoever falls silent cannot be told afterwards.
    """
    timing = _read_timing(record, folder=folder)
    start = round(1000 * timing.pop("started", time.time()))  # ms
    run = _find_or_create(client, record, alike=alike, start=start)
    if run is None:
        return "left out, no run has its model and parameters: publish `train` first"
    run_id, published = run.info.run_id, f"published.{record.stage}"
    params = name_params(record)
    if run.data.tags.get(published) == record.fingerprint and params.keys() <= run.data.params.keys():
        return f"up to date in run {run.info.run_name}"

    end = run.info.end_time or run.info.start_time + round(1000 * timing.get("seconds", 0))
    client.set_terminated(run_id, RunStatus.to_string(RunStatus.FAILED), end_time=end)
    if published in run.data.tags:
        client.delete_tag(run_id, published)

    numbers, texts = _read_metrics(record, folder=folder)
    numbers |= {f"{record.stage}_{key}": value for key, value in timing.items()}
    history: list[Metric] = []
    if record.stage == "train":
        history, best = _read_history(folder, best_epoch=int(numbers["best_epoch"]), timestamp=run.info.start_time)
        numbers |= best
    now = round(1000 * time.time())  # a later value is the one that MLflow shows
    metrics = [Metric(key, value, now, 0) for key, value in numbers.items() if run.data.metrics.get(key) != value]
    tags = {f"out.{path}": md5 for path, md5 in record.outs.items()}
    tags |= {f"dep.{path}": md5 for path, md5 in record.dependencies.items()} | texts
    entities: dict[str, list[Any]] = {
        "metrics": history + metrics,
        "params": [Param(key, value) for key, value in params.items() if key not in run.data.params],
        "tags": [RunTag(_valid(key), value) for key, value in tags.items()],
    }
    for kind, items in entities.items():
        for first in range(0, len(items), BATCH):
            batch: dict[str, Any] = {kind: items[first : first + BATCH]}
            client.log_batch(run_id, **batch)
    inputs = {path: md5 for path, md5 in record.inputs.items() if path != MODEL}
    client.log_inputs(run_id, [_dataset(folder / path, name=path, md5=md5) for path, md5 in inputs.items()])
    for path in record.outs:
        if path.startswith("metrics/") and path.endswith((".json", ".csv", ".md")):
            client.log_artifact(run_id, str(folder / path), "metrics")
    drawn = (folder / "metrics" / "figures" / record.stage).glob("*")
    for figure in sorted(path for path in drawn if path.suffix in (".jpg", ".png")):
        client.log_artifact(run_id, str(figure), "figures")
    if record.stage == "train" and not (run.outputs and run.outputs.model_outputs):
        log_model(client, run_id, path=folder / MODEL, cells=folder / CELLS, classes=json.loads(texts["classes"]))
    client.set_tag(run_id, published, record.fingerprint)  # last: a run without it is not complete
    client.set_terminated(run_id, end_time=end)
    return f"published in run {run.info.run_name}"


def _find_or_create(client: MlflowClient, record: Record, *, alike: Sequence[Record], start: int) -> Run | None:
    """Return the run that ``alike`` share, begun at ``start`` (ms) if new; None for what follows on no such run.

    A run is theirs if it has their identity, and no parameter of it another value.
    """
    key, value = record.identity
    params = _unite_params(alike)
    experiment = _find_or_create_experiment(client, MODELS if record.stage in MODEL_STAGES else "wbc-data")
    found = client.search_runs([experiment], f"tags.`{key}` = '{value}'", order_by=["start_time DESC"])
    if run := next((run for run in found if agrees(run, params)), None):
        return run
    if record.stage in MODEL_STAGES[1:]:
        return None
    if found and found[0].info.start_time >= start:  # a later look at what is shown already
        start = round(1000 * time.time())
    git = subprocess.run(["git", "rev-parse", "--quiet", "--verify", "HEAD"], capture_output=True, text=True)
    tags = {key: value, "stage": record.stage, "git_commit": git.stdout.strip()}
    if trial := os.environ.get("DVC_EXP_NAME"):
        tags["DVC_EXP_NAME"] = trial
    run_name = f"{record.params['model'] if record.stage == 'train' else record.stage}-{value[:7]}"
    return client.create_run(experiment, start_time=start, tags=tags, run_name=run_name)


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


def _find_or_create_experiment(client: MlflowClient, name: str) -> str:
    """Return the id of the experiment ``name``. Raises DeletedExperimentError."""
    if experiment := find_experiment(client, name):
        return experiment
    # A server keeps artifacts itself; else they would go to the working directory, which may be a throw-away clone.
    artifacts = None if tracking_uri().startswith("http") else (project_root() / ARTIFACTS).as_uri()
    return client.create_experiment(name, artifact_location=artifacts)


def _read_timing(record: Record, *, folder: Path) -> dict[str, float]:
    """Return what the stage wrote of its own speed; nothing when the outs are of another execution."""
    path = folder / "metrics" / ".timing" / f"{record.stage}.json"
    if not path.exists():
        return {}
    timing = json.loads(path.read_text())
    margin = 2  # s, the coarsest clock of a file system
    since, until = timing["started"] - margin, timing["started"] + timing["seconds"] + margin
    return timing if all(since <= (folder / out).stat().st_mtime <= until for out in record.outs) else {}


def _read_metrics(record: Record, *, folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    """Return the numbers and the texts of a stage's metrics file under their names in MLflow."""
    file, prefix = ("evaluation", "test_") if record.stage == "evaluate" else (record.stage, "")
    path = folder / "metrics" / f"{file}.json"
    content = flatten(json.loads(path.read_text())) if path.exists() else {}
    known = {_valid(prefix + key): value for key, value in content.items() if value is not None}
    numbers = {key: float(value) for key, value in known.items() if isinstance(value, int | float)}
    return numbers, {key: _text(value) for key, value in known.items() if key not in numbers}


def _read_history(folder: Path, *, best_epoch: int, timestamp: int) -> tuple[list[Metric], dict[str, float]]:
    """Return one point per epoch and metric, and as ``best_*`` the values at the epoch that was kept.

    All points bear ``timestamp`` (ms): what was logged before an interruption is then not logged twice.
    """
    with (folder / "metrics" / "history.csv").open() as file:
        epochs = {int(row.pop("epoch")): row for row in csv.DictReader(file)}
    points = [Metric(name, float(row[name]), timestamp, epoch) for epoch, row in epochs.items() for name in row]
    best = {f"best_{name}": float(value) for name, value in epochs[best_epoch].items() if name != "learning_rate"}
    return points, best


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


def _dataset(path: Path, *, name: str, md5: str) -> DatasetInput:
    dataset = Dataset(name=name, digest=md5, source_type="local", source=json.dumps({"uri": str(path)}))
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "input")])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _valid(name: str) -> str:
    """Return ``name`` without the characters that MLflow refuses in names."""
    return re.sub(r"[^\w\-. /:]", "_", name)
