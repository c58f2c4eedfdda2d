import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository of a few of the project's files and of one that a program of Windows wrote."""
    folder = tmp_path / "origin"
    folder.mkdir()
    for name in (".gitattributes", ".gitignore", "dvc.yaml", "stages/split.py", "docs/smears.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "groups.csv").write_bytes(b"id,group\r\nA/1,P1\r\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=files")
    return folder


@pytest.mark.parametrize("conversion", ["true", "input", "false"])
def test_every_checkout_has_the_same_bytes(origin: Path, conversion: str) -> None:
    clone = origin.with_name("clone")
    git(origin, "clone", "--quiet", "--config", f"core.autocrlf={conversion}", str(origin), str(clone))
    for name in ("dvc.yaml", "stages/split.py", "docs/smears.png"):
        assert (clone / name).read_bytes() == (ROOT / name).read_bytes()
    assert (clone / "groups.csv").read_bytes() == b"id,group\nA/1,P1\n"


def test_what_commands_write_where_they_are_called_is_no_change(origin: Path) -> None:
    for name in ("report.html", "comparison.md", "comparison.png", "audit/twins.csv"):
        (origin / name).parent.mkdir(exist_ok=True)
        (origin / name).write_text("made by a command")
    assert git(origin, "status", "--porcelain") == ""
