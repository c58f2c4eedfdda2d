"""Fixtures of the whole suite."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder that stands in for the network: WBC_MIRROR if it is a folder, else ../shared/mirror, else skip."""
    project = Path(__file__).parents[1]
    named = os.environ.get("WBC_MIRROR")
    for folder in ([project / named] if named else []) + [project.parent / "shared" / "mirror"]:
        if folder.is_dir():
            return folder
    pytest.skip("no mirror folder: set WBC_MIRROR")
