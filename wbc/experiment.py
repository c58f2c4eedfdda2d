"""Takes the results of a DVC experiment out of git, without checking it out."""

import shutil
import subprocess
from itertools import chain
from pathlib import Path

from dvc.api import DVCFileSystem
from dvc.repo import Repo

RESULTS = "metrics"
SETTINGS = ("params.yaml", "dvc.lock")


def export_results(name: str, *, destination: Path) -> None:
    """Copy metrics/ of the experiment or git revision ``name`` to the new folder ``destination``.

    params.yaml and dvc.lock come to lie beside its files. An older folder there is replaced. Of several experiments of
    one name, that of the current commit is meant.
    Raises DVC's RevError for a name that is unknown, or ambiguous on other commits.
    """
    with Repo() as repo:
        revisions = dict(chain.from_iterable(repo.experiments.ls().values()))
    repository = DVCFileSystem(rev=revisions.get(name, name))
    shutil.rmtree(destination, ignore_errors=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    repository.get(RESULTS, str(destination), recursive=True)
    for file in SETTINGS:
        repository.get_file(file, str(destination / file))


def describe_revision() -> str:
    """Return the commit of the working tree, and whether files that git knows have changed since."""
    told = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=, with changes since"],
        capture_output=True,
        text=True,
    )
    return f"commit {told.stdout.strip()}" if told.stdout else "no commit"
