"""Takes the results of a DVC experiment out of git, without checking it out."""

import shutil
from itertools import chain
from pathlib import Path

from dvc.api import DVCFileSystem
from dvc.repo import Repo

RESULTS = "metrics"


def export_results(name: str, *, destination: Path) -> None:
    """Copy the folder metrics/ of the experiment or git revision ``name`` to the new folder ``destination``.

    An older folder there is replaced. Of several experiments of one name, that of the current commit is meant.
    Raises DVC's RevError for a name that is unknown, or ambiguous on other commits.
    """
    with Repo() as repo:
        revisions = dict(chain.from_iterable(repo.experiments.ls().values()))
    repository = DVCFileSystem(rev=revisions.get(name, name))
    shutil.rmtree(destination, ignore_errors=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    repository.get(RESULTS, str(destination), recursive=True)
