"""The project's top folder, also from the throw-away working directories of DVC's experiments."""

import os
from pathlib import Path


def project_root() -> Path:
    """Return DVC_ROOT if set, else the nearest folder upwards that holds ``.dvc``, else the working directory.

    A stage under ``dvc exp run --temp`` works in a clone that is then deleted; DVC_ROOT names the main workspace.
    """
    if named := os.environ.get("DVC_ROOT"):
        return Path(named)
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
