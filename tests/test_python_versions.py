"""Which Pythons the project runs on: the bound of pyproject.toml, who repeats it, and how make chooses among them."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIRED = SpecifierSet(PYPROJECT["project"]["requires-python"])
PINNED = [Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines()]
FITTING = [f"3.{minor}" for minor in range(100) if f"3.{minor}" in REQUIRED]
NEEDED = f"Python {FITTING[0]} to {FITTING[-1]} is needed: make PYTHON=/path/to/python{FITTING[-1]}"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def newest_declared(package: importlib.metadata.Distribution) -> Version | None:
    """Return the newest Python of the classifiers of ``package``, if its code is compiled for one Python each."""
    compiled = re.search(r"^Tag: (cp\d+)-\1", package.read_text("WHEEL") or "", re.MULTILINE)
    classifiers = package.metadata.get_all("Classifier", [])
    found = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", classifier) for classifier in classifiers]
    return max((Version(match[1]) for match in found if match), default=None) if compiled else None


def compiled_packages() -> Iterator[importlib.metadata.Distribution]:
    """Yield the packages of the lock that belong here and have wheels for single Pythons, and say for which."""
    for requirement in PINNED:
        if requirement.marker is None or requirement.marker.evaluate():
            package = importlib.metadata.distribution(requirement.name)
            if newest_declared(package):
                yield package


def test_the_bound_is_the_first_python_that_a_pinned_package_has_no_wheel_for() -> None:
    newest = {package.name: newest_declared(package) for package in compiled_packages()}
    assert {"tensorflow", "numpy", "scipy"} <= newest.keys()
    assert FITTING[-1] == str(min(filter(None, newest.values()))), f"requires-python ends elsewhere than {newest}"


@pytest.mark.parametrize("version", FITTING)
def test_the_lock_pins_one_version_of_each_package_for_each_python(version: str) -> None:
    environment = {"python_version": version, "python_full_version": f"{version}.0"}
    taken = [pin for pin in PINNED if pin.marker is None or pin.marker.evaluate(environment)]
    assert [name for name, count in Counter(pin.name for pin in taken).items() if count > 1] == []
    windows = {pin.name for pin in PINNED if 'sys_platform == "win32"' in str(pin.marker)}
    assert {pin.name for pin in PINNED} - {pin.name for pin in taken} <= windows
    assert [str(pin) for pin in PINNED if not re.fullmatch(r"==[^,*]+", str(pin.specifier))] == []


def test_who_repeats_the_bound_agrees_with_it() -> None:
    [listed] = re.findall(r"^PYTHONS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed.split() == FITTING[::-1]
    [locked] = re.findall(r"--universal --python-version (\S+)", (ROOT / "Makefile").read_text())
    assert locked == FITTING[0]
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{FITTING[0].replace('.', '')}"
    assert f"Python {', '.join(FITTING[:-1])} or {FITTING[-1]}, make" in (ROOT / "README.md").read_text()


def test_the_workflow_runs_all_on_the_first_and_the_last_python() -> None:
    job = YAML(typ="safe").load(ROOT / ".github/workflows/ci.yml")["jobs"]["all"]
    assert job["strategy"]["matrix"] == {"python": [FITTING[0], FITTING[-1]]}
    assert [step["with"] for step in job["steps"] if "setup-python" in step.get("uses", "")] == [
        {"python-version": "${{ matrix.python }}"}
    ]
    [everything] = [step for step in job["steps"] if step.get("run") == "bash .ci/run"]
    assert everything["env"] == {"PYTHON": "python${{ matrix.python }}"}


def test_the_workflow_of_the_gate_sets_up_with_the_python_that_it_asked_for() -> None:
    steps = YAML(typ="safe").load(ROOT / ".github/workflows/gate.yml")["jobs"]["gate"]["steps"]
    [asked] = [step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", "")]
    assert asked in FITTING
    assert f"make setup PYTHON=python{asked}" in [step.get("run") for step in steps]


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """An empty folder at the head of a PATH on which no name of a Python has one behind it, as pyenv's shims do."""
    names = tmp_path / "names"
    names.mkdir()
    for name in ("python3", *(f"python3.{minor}" for minor in range(8, 20))):
        (names / name).write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
        (names / name).chmod(0o755)
    return names


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that is not set up, or what make sees of it."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, project / name)
    return project


def answer_to(*words: str, project: Path, names: Path) -> str:
    """Return what ``make setup`` would run, or why it will not, with ``names`` first on the PATH."""
    outside = {key: value for key, value in os.environ.items() if key not in {"PYTHON", "MAKEFLAGS", "MAKELEVEL"}}
    command = ["make", "--dry-run", "setup", *words]
    environment = outside | {"PATH": f"{names}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert (done.returncode == 0) == (not done.stderr), done.stderr
    return done.stdout if done.returncode == 0 else done.stderr


def make_reachable(name: str, *, names: Path) -> None:
    """Let ``name`` be the Python of this process."""
    (names / name).unlink(missing_ok=True)
    (names / name).symlink_to(sys.executable)


@pytest.mark.parametrize("name", [f"python{HERE}", "python3"])
def test_the_python_that_runs_is_taken(name: str, project: Path, names: Path) -> None:
    make_reachable(name, names=names)
    assert f"'{name}' -m venv .venv\n" in answer_to(project=project, names=names)


def test_the_newest_python_that_runs_is_taken(project: Path, names: Path) -> None:
    for version in FITTING:  # the later of two names that both run
        (names / f"python{version}").write_text(f"#!/bin/sh\necho {version}\n")
    assert f"'python{FITTING[-1]}' -m venv .venv\n" in answer_to(project=project, names=names)


def test_one_line_says_which_python_is_needed_where_none_runs(project: Path, names: Path) -> None:
    [line] = answer_to(project=project, names=names).splitlines()
    assert line.endswith(f"*** {NEEDED}.  Stop.")


@pytest.mark.parametrize("version", ["2.7", "3.10", "3.14", None])
def test_a_named_python_that_does_not_fit_is_refused_in_the_same_line(
    version: str | None, project: Path, names: Path
) -> None:
    make_reachable("python3", names=names)
    if version:
        (names / "named").write_text(f"#!/bin/sh\necho {version}\n")
        (names / "named").chmod(0o755)
    [line] = answer_to(f"PYTHON={names / 'named'}", project=project, names=names).splitlines()
    assert line.endswith(f"*** {NEEDED}.  Stop.")


def test_an_environment_that_is_there_stays_in_use(project: Path, names: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv"], check=True)
    assert "'.venv/bin/python' -m venv .venv\n" in answer_to(project=project, names=names)
    assert answer_to(f"PYTHON={sys.executable}", project=project, names=names).startswith(":\n")


@pytest.mark.parametrize(
    ("made_with", "named", "reason"),
    [
        (FITTING[0], FITTING[-1], ".venv is of another Python than {}: remove it to have that one"),
        ("3.10", FITTING[-1], f".venv has no Python {FITTING[0]} to {FITTING[-1]}: remove it"),
        ("3.10", None, f".venv has no Python {FITTING[0]} to {FITTING[-1]}: remove it"),
    ],
)
def test_an_environment_of_another_python_is_neither_used_nor_removed(
    made_with: str, named: str | None, reason: str, project: Path, names: Path
) -> None:
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/pyvenv.cfg").touch()
    for python, version in {project / ".venv/bin/python": made_with, names / "named": named}.items():
        python.write_text(f"#!/bin/sh\necho {version}\n")
        python.chmod(0o755)
    words = [f"PYTHON={names / 'named'}"] if named else []
    [line] = answer_to(*words, project=project, names=names).splitlines()
    assert line.endswith(f"*** {reason.format(names / 'named')}.  Stop.")
    assert (project / ".venv/bin/python").exists()
