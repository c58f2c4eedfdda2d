"""Takes the results of DVC experiments out of git, without checking them out."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pandas as pd
from dvc.api import DVCFileSystem
from dvc.fs import GitFileSystem
from dvc.repo import Repo
from dvc.scm import resolve_rev
from dvc.stage import PipelineStage

from wbc.base.files import write_json
from wbc.base.params import PARAMS_FILE
from wbc.tracking.lineage import LOCK, METRICS, explain_staleness, list_stale, read_stages, require_current

EXPERIMENTS = Path("experiments")
RESULTS = METRICS.name
SETTINGS = (PARAMS_FILE.name, LOCK.name)
MADE = ".wbc-export.json"  # in a folder of results: the name that they are of, and every file that was written


def experiment_folder(name: str) -> Path:
    """Return the one folder below experiments/ that the results of ``name`` belong to.

    Signs that have a meaning in paths are written as in URLs: those of origin/main come to experiments/origin%2Fmain.
    """
    safe = quote(name, safe="@^{}+=,")
    return EXPERIMENTS / (f"%2E{safe[1:]}" if safe.startswith(".") else safe)


def export_results(name: str, *, destination: Path) -> None:
    """Copy metrics/ of the experiment or git revision ``name`` to the folder ``destination``.

    params.yaml and dvc.lock, if it has them, come to lie beside its files. An older folder there is replaced if all
    that it holds was written by this function, for the same name. Of several experiments of one name, that of the
    current commit is meant.
    Raises DVC's RevError for a name that is unknown, or ambiguous on other commits, FileNotFoundError for one without
    results, StaleResultsError for one whose results are another run's, and ValueError for a folder that holds anything
    else; all before anything changes.
    """
    revision = _resolve(name)
    _refuse_strangers(destination, name=name)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with _open(revision) as repository, TemporaryDirectory(dir=destination.parent, prefix=".export-") as folder:
        aside = Path(folder) / "new"
        if not repository.isdir(RESULTS):
            raise FileNotFoundError(f"{name} has no {RESULTS}/")
        _copy_results(repository, aside)
        require_current(aside, home=aside, name=name)
        _drop_stale(aside)
        write_json(aside / MADE, {"name": name, "files": sorted(_list_files(aside))})
        if destination.exists():
            destination.rename(Path(folder) / "old")
        aside.rename(destination)


@contextmanager
def _open(revision: str) -> Iterator[DVCFileSystem]:
    """Yield the files of git and DVC at the commit ``revision``, their paths relative to the project's top folder.

    That may lie below git's: Repo(rev=…) takes the one for the other.
    """
    with Repo() as here:
        below = Path(here.root_dir).resolve().relative_to(Path(here.scm.root_dir).resolve())
        files = GitFileSystem(scm=here.scm, rev=revision)
        with Repo(str(Path("/") / below), fs=files, scm=here.scm, uninitialized=True) as repo:
            yield DVCFileSystem(repo=repo)


def _copy_results(repository: DVCFileSystem, destination: Path, *, depth: int | None = None) -> None:
    """Copy metrics/, down to so many levels, and SETTINGS beside its files."""
    for path in repository.find(RESULTS, maxdepth=depth):
        _copy(repository, path, to=destination / Path(path).relative_to(RESULTS))
    for file in filter(repository.exists, SETTINGS):
        _copy(repository, file, to=destination / file)


def _drop_stale(folder: Path) -> None:
    """Remove from a copy of metrics/ what stages after evaluate had made for another run, such as its maps."""
    stages = read_stages(folder / LOCK)
    outs = (out for stage in list_stale(folder, home=folder) for out in stages[stage].get("outs", []))
    for path in (Path(out["path"]) for out in outs if out["path"].startswith(f"{RESULTS}/")):
        copy = folder / path.relative_to(RESULTS)
        shutil.rmtree(copy) if copy.is_dir() else copy.unlink(missing_ok=True)


def _copy(repository: DVCFileSystem, path: str, *, to: Path) -> None:
    """Copy one file; what only DVC's cache has is left out where the cache lacks it, as in a fresh clone."""
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        repository.get_file(path, str(to))
    except FileNotFoundError:
        if not repository.isdvc(path):
            raise
        to.unlink(missing_ok=True)


def _resolve(name: str) -> str:
    """Return the commit that ``name`` means. Raises RevError, or ValueError for no name at all."""
    if not name.strip():
        raise ValueError("name an experiment or a git revision")
    with Repo() as repo:
        experiments = dict(chain.from_iterable(repo.experiments.ls().values()))
        return str(experiments.get(name) or resolve_rev(repo.scm, name))


def _refuse_strangers(folder: Path, *, name: str) -> None:
    """Raise ValueError unless ``folder`` is absent, empty, or holds nothing but what was written there for ``name``."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ValueError(f"{folder} is no folder of results: move it away")
    made = json.loads((folder / MADE).read_text()) if (folder / MADE).is_file() else {"name": name, "files": []}
    if made["name"] != name:
        raise ValueError(f"{folder} holds the results of {made['name']}, not of {name}: move it away")
    if strangers := sorted(set(_list_files(folder)) - {MADE, *made["files"]}):
        raise ValueError(f"{folder} holds {strangers[0]}, which was not put there by wbc: move it away")


def _list_files(folder: Path) -> Iterator[str]:
    """Yield what is below ``folder`` and no folder, relative to it. Links are not followed."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    yield from (path.relative_to(folder).as_posix() for path in found)


def describe_revision() -> str:
    """Return the commit of the working tree, and whether files that git knows have changed since."""
    told = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=, with changes since"],
        capture_output=True,
        text=True,
    )
    return f"commit {told.stdout.strip()}" if told.stdout else "no commit"


def read_experiments() -> pd.DataFrame:
    """Return what `read_runs` does, of the current commit and the DVC experiments on it, the latest first.

    ``run_id`` is the git revision. How long a run took is not in git. The column ``fault`` says why the results are
    another run's, "" where they are not.
    """
    with Repo() as repo:
        revisions = dict(chain.from_iterable(repo.experiments.ls().values())) | {"HEAD": repo.scm.get_rev()}
        ages = {name: -repo.scm.resolve_commit(revision).commit_time for name, revision in revisions.items()}
    return pd.DataFrame([_read_run(name, revisions[name]) for name in sorted(revisions, key=lambda name: ages[name])])


def read_file(revision: str, path: str) -> str:
    """Return the text of the file ``path`` at a git revision."""
    with _open(revision) as repository:
        return repository.read_text(path)


def _read_run(name: str, revision: str) -> dict[str, Any]:
    """Return one row of read_experiments."""
    from wbc.tracking.record import name_params, read_record  # here, because mlflow takes seconds to start

    run: dict[str, Any] = {"run_id": revision, "mlflow.runName": name, "DVC_EXP_NAME": name}
    with _open(revision) as repository, TemporaryDirectory() as folder:
        stages = {stage.name: stage for stage in repository.repo.index.stages if isinstance(stage, PipelineStage)}
        producers = {out.def_path: out for stage in stages.values() for out in stage.outs}
        for record in (read_record(stages[stage], producers=producers) for stage in ("train", "evaluate")):
            run |= name_params(record) | {f"dep.{path}": md5 for path, md5 in record.dependencies.items()}
        copies = Path(folder)
        _copy_results(repository, copies, depth=1)
        known = (copies / "predictions.csv").exists()
        run["fault"] = explain_staleness(copies, home=copies) or ("" if known else "there are no predictions")
        if (copies / "train.json").exists():
            training = json.loads((copies / "train.json").read_text())
            run |= {key: training[key] for key in ("weights_requested", "weights_used")}
    return run
