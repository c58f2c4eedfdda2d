"""Shows in MLflow what the stages' files say, so that what is missing there can be published later from the same files.

Runs are found by content: they carry the MD5 of what a stage read and wrote, as DVC computes it, and its parameters.
"""

import csv
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc.repo import Repo
from dvc.utils.flatten import flatten
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunStatus,
    RunTag,
)

from wbc.base.root import project_root
from wbc.tracking.connection import ARTIFACTS, connect, find_experiment, one_at_a_time
from wbc.tracking.model import BATCH, log_model
from wbc.tracking.record import (
    CELLS,
    MODEL,
    MODEL_STAGES,
    Record,
    as_text,
    name_params,
    pipeline_stages,
    producers_of,
    read_record,
    stages_up_to,
    unite_params,
)
from wbc.tracking.runs import MODELS, agrees
from wbc.tracking.store import tracking_uri

if TYPE_CHECKING:
    pass

PATIENCE = 30.0  # s that a stage waits for all that it shows, whatever the limits of a single request add up to


class UnknownStageError(ValueError):
    """The message names the stages that there are."""


class PatienceError(RuntimeError):
    """MLflow takes too long. No TimeoutError, which urllib3 would take for its own and try again."""


def publish(name: str | None = None, *, wait: Callable[[], object] | None = None) -> Iterator[tuple[str, str]]:
    """Complete the run of the stage ``name``, or of every stage, in MLflow; yield each stage and what became of it.

    The stage whose command is running (DVC_STAGE) is read from its files, because dvc.lock is written after the
    command. Others are read from dvc.lock and left out when their files differ from it. Of MODEL_STAGES those before
    ``name`` come first. ``wait`` is called when all is loaded and before a file is read; nothing is published where it
    returns nothing. Raises UnknownStageError, DeletedExperimentError, MLflow's errors as they come, and PatienceError
    or one of MLflow's made of it where a running stage has waited for as long as PATIENCE.
    """
    with Repo() as repo:
        stages = pipeline_stages(repo)
        stages.pop("check", None)  # makes nothing to look at, and its parameters are the whole file
        if name is not None and name not in stages:
            raise UnknownStageError(f"no stage {name!r} to publish: there are {', '.join(stages)}")
        producers = producers_of(stages)
        if wait is not None:
            with suppress(Exception):  # a first connection loads the store; one that fails is made again below
                connect()
            if not wait():
                return
        records: dict[str, Record | None] = {}
        for stage in stages if name is None else stages_up_to(name):
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
    params = unite_params(alike)
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
    return numbers, {key: as_text(value) for key, value in known.items() if key not in numbers}


def _read_history(folder: Path, *, best_epoch: int, timestamp: int) -> tuple[list[Metric], dict[str, float]]:
    """Return one point per epoch and metric, and as ``best_*`` the values at the epoch that was kept.

    All points bear ``timestamp`` (ms): what was logged before an interruption is then not logged twice.
    """
    with (folder / "metrics" / "history.csv").open() as file:
        epochs = {int(row.pop("epoch")): row for row in csv.DictReader(file)}
    points = [Metric(name, float(row[name]), timestamp, epoch) for epoch, row in epochs.items() for name in row]
    best = {f"best_{name}": float(value) for name, value in epochs[best_epoch].items() if name != "learning_rate"}
    return points, best


def _dataset(path: Path, *, name: str, md5: str) -> DatasetInput:
    dataset = Dataset(name=name, digest=md5, source_type="local", source=json.dumps({"uri": str(path)}))
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "input")])


def _valid(name: str) -> str:
    """Return ``name`` without the characters that MLflow refuses in names."""
    return re.sub(r"[^\w\-. /:]", "_", name)
