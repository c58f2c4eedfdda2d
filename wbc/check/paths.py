"""What a user owns must lie apart from what DVC makes: DVC empties an output before its stage runs, whoever's it is."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wbc.base.params import ParamsError, read_params
from wbc.base.root import project_root


def require_apart(owned: Mapping[str, str], *, dvc_file: Path) -> None:
    """Raise ParamsError, a line for each fault, where a path lies in an output of ``dvc_file``, or holds one.

    ``owned`` has paths by the parameter or variable that names them, relative to the working directory or to the main
    workspace, ``~`` and links allowed. Both places have outputs: a throw-away clone's come to the main workspace later.
    """
    outputs = read_outputs(dvc_file)
    places = {dvc_file.parent, project_root()}
    faults = []
    for key, named in owned.items():
        paths = {place / Path(named).expanduser() for place in {Path.cwd(), *places}}
        made = (out for out in outputs if any(_meet(path, place / out) for path in paths for place in places))
        if (output := next(made, None)) is not None:
            faults.append(
                f"{key}: {named} lies in {output} or holds it, which DVC empties before it is made anew: "
                "move what is yours to a folder of its own"
            )
    if faults:
        raise ParamsError("\n".join(faults))


def read_outputs(dvc_file: Path) -> list[str]:
    """Return the paths of all outputs, metrics and plots of stages as ``dvc_file`` has them. Raises ParamsError."""
    stages = read_params(dvc_file)["stages"].values()
    listed = [item for stage in stages for kind in ("outs", "metrics", "plots") for item in stage.get(kind, [])]
    return [path for item in listed for path in ([item] if isinstance(item, str) else item)]


def local_paths(named: Mapping[str, Any]) -> dict[str, str]:
    """Return those of ``named`` that are set and no URL."""
    return {key: str(path) for key, path in named.items() if path and not str(path).startswith(("http://", "https://"))}


def _meet(one: Path, other: Path) -> bool:
    """Tell whether one of two paths is the other or lies below it, as they are written or behind their links."""
    return any(_holds(a, b) or _holds(b, a) for a in _spellings(one) for b in _spellings(other))


def _spellings(path: Path) -> Iterator[Path]:
    yield Path(os.path.normpath(Path.cwd() / path))
    yield path.resolve()


def _holds(folder: Path, path: Path) -> bool:
    """Tell whether ``path`` is ``folder`` or lies below it; also where the file system does not tell a from A."""
    above = [path, *path.parents]
    return folder in above or (folder.exists() and any(one.exists() and one.samefile(folder) for one in above))
