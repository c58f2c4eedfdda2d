"""Takes the results of a DVC experiment out of git, without checking it out."""

import shutil
from pathlib import Path

from dvc.api import DVCFileSystem

RESULTS = "metrics"


def export_results(name: str, *, destination: Path) -> None:
    """Copy the folder metrics/ of the experiment or git revision ``name`` to the new folder ``destination``.

    An older folder there is replaced. Raises DVC's RevError for an unknown name.
    """
    repository = DVCFileSystem(rev=name)
    shutil.rmtree(destination, ignore_errors=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    repository.get(RESULTS, str(destination), recursive=True)
