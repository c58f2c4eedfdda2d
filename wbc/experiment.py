"""Takes the results of DVC experiments out of git, without checking them out."""

import json
import shutil
import subprocess
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from dvc.api import DVCFileSystem
from dvc.repo import Repo
from dvc.stage import PipelineStage

RESULTS = "metrics"
SETTINGS = ("params.yaml", "dvc.lock")


def export_results(name: str, *, destination: Path) -> None:
    """Copy metrics/ of the experiment or git revision ``name`` to the new folder ``destination``.

    params.yaml and dvc.lock, if it has them, come to lie beside its files. An older folder there is replaced. Of
    several experiments of one name, that of the current commit is meant.
    Raises DVC's RevError for a name that is unknown, or ambiguous on other commits.
    """
    with Repo() as repo:
        revisions = dict(chain.from_iterable(repo.experiments.ls().values()))
    repository = DVCFileSystem(rev=revisions.get(name, name))
    shutil.rmtree(destination, ignore_errors=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    repository.get(RESULTS, str(destination), recursive=True)
    for file in filter(repository.exists, SETTINGS):
        repository.get_file(file, str(destination / file))


def describe_revision() -> str:
    """Return the commit of the working tree, and whether files that git knows have changed since."""
    told = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=, with changes since"],
        capture_output=True,
        text=True,
    )
    return f"commit {told.stdout.strip()}" if told.stdout else "no commit"


def read_experiments() -> pd.DataFrame:
    """Return what wbc.tracking.read_runs does, of the current commit and the DVC experiments on it, the latest first.

    ``run_id`` is the git revision. How long a run took is not in git. Experiments without predictions are left out.
    """
    with Repo() as repo:
        revisions = dict(chain.from_iterable(repo.experiments.ls().values())) | {"HEAD": repo.scm.get_rev()}
        ages = {name: -repo.scm.resolve_commit(revision).commit_time for name, revision in revisions.items()}
    runs = [_read_run(name, revisions[name]) for name in sorted(revisions, key=lambda name: ages[name])]
    return pd.DataFrame([run for run in runs if run])


def read_file(revision: str, path: str) -> str:
    """Return the text of the file ``path`` at a git revision."""
    return DVCFileSystem(rev=revision).read_text(path)


def _read_run(name: str, revision: str) -> dict[str, Any]:
    """Return one row of read_experiments, empty without predictions."""
    from wbc.tracking import name_params, read_record  # here, because mlflow takes seconds to start

    with Repo(rev=revision) as repo:
        stages = {stage.name: stage for stage in repo.index.stages if isinstance(stage, PipelineStage)}
        producers = {out.def_path: out for stage in stages.values() for out in stage.outs}
        records = [read_record(stages[stage], producers=producers) for stage in ("train", "evaluate")]
        if not repo.fs.exists(f"{RESULTS}/predictions.csv"):
            return {}
        training = json.loads(repo.fs.read_text(f"{RESULTS}/train.json"))
    run: dict[str, Any] = {"run_id": revision, "mlflow.runName": name, "DVC_EXP_NAME": name}
    for record in records:
        run |= name_params(record) | {f"dep.{path}": md5 for path, md5 in record.dependencies.items()}
    return run | {key: training[key] for key in ("weights_requested", "weights_used")}
