"""dvc.yaml names rooms, each a folder of wbc/ or one file of wbc/tools/: those that a stage's imports enter."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
READ_AT_RUN_TIME = {"wbc/sources/bccd.py": {"wbc/sources/bccd.sha256"}}
# Files that a stage does without though it enters their room: small, seldom changed, or of the same subject.
SPARE = {
    "wbc/base/draws.py": "the one rule of random keys, six lines",
    "wbc/base/names.py": "names of classes, which the early stages tidy",
    "wbc/base/root.py": "where the project is, ten lines",
    "wbc/data/arrays.py": "split has tables alone; a room of their own would split every other stage's line in two",
    "wbc/inference/ensemble.py": "makes what evaluate, external and explain are given; suspects has no part of it",
    "wbc/scores/wording.py": "external says its scores in words of its own",
    "wbc/backbones/applications.py": "suspects takes one backbone of all",
    "wbc/clean/audit_figures.py": "external cleans without figures",
}


def module_files(name: str) -> set[str]:
    """Return the files that importing the module ``name`` runs: its own and those of the packages above it."""
    parts = name.split(".")
    parents = ["/".join([*parts[:depth], "__init__.py"]) for depth in range(1, len(parts) + 1)]
    candidates = [*parents, f"{'/'.join(parts)}.py"]
    return {file for file in candidates if file.startswith(("wbc/", "stages/")) and (ROOT / file).is_file()}


def direct_imports(file: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: import absolutely"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def import_closure(file: str) -> set[str]:
    closure: set[str] = set()
    waiting = {file, *module_files(file.removesuffix(".py").replace("/", "."))}
    while waiting:
        current = waiting.pop()
        closure |= {current} | READ_AT_RUN_TIME.get(current, set())
        waiting |= {other for name in direct_imports(current) for other in module_files(name)} - closure
    return closure


def room_of(file: str) -> str:
    """Return the line of dvc.yaml that stands for a file of wbc/."""
    return file if file.startswith("wbc/tools/") else "/".join(file.split("/")[:2])


def rooms_of(stage: str) -> set[str]:
    """Return the rooms that a stage's imports enter; of check, from which nothing follows, base and single files."""
    files = {file for file in import_closure(f"stages/{stage}.py") if not file.endswith("/__init__.py")}
    inside = {file for file in files if file.startswith("wbc/")}
    if stage == "check":
        return {"wbc/base"} | {file for file in inside if room_of(file) != "wbc/base"}
    return {room_of(file) for file in inside}


def declared_rooms(stage: str) -> set[str]:
    return {dep for dep in STAGES[stage]["deps"] if dep.startswith("wbc/")}


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_stage_s_file_and_the_rooms_that_its_imports_enter(stage: str) -> None:
    assert declared_rooms(stage) == rooms_of(stage)
    assert f"stages/{stage}.py" in STAGES[stage]["deps"]


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "check"])
def test_a_stage_needs_every_file_of_the_rooms_that_it_enters(stage: str) -> None:
    rooms = {room for room in declared_rooms(stage) if (ROOT / room).is_dir()}
    files = {str(path.relative_to(ROOT)) for room in rooms for path in (ROOT / room).rglob("*.py")}
    assert files - import_closure(f"stages/{stage}.py") <= SPARE.keys() | {f"{room}/__init__.py" for room in rooms}


def test_no_spare_file_is_listed_in_vain() -> None:
    spared = set()
    for stage in STAGES:
        rooms = declared_rooms(stage)
        spared |= {file for file in SPARE if room_of(file) in rooms} - import_closure(f"stages/{stage}.py")
    assert spared == SPARE.keys()


def test_dvc_yaml_names_at_most_ninety_rooms() -> None:
    assert sum(line.lstrip().startswith("- wbc/") for line in (ROOT / "dvc.yaml").read_text().splitlines()) <= 90


def test_rooms_stand_in_no_circle() -> None:
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "wbc").rglob("*.py")]
    arrows: dict[str, set[str]] = {room_of(file): set() for file in files}
    for file in files:
        entered = {other for name in direct_imports(file) for other in module_files(name)}
        arrows[room_of(file)] |= {room_of(other) for other in entered if not other.endswith("/__init__.py")}
    while ends := [room for room in arrows if arrows[room] <= {room}]:
        for end in ends:
            del arrows[end]
        for targets in arrows.values():
            targets.difference_update(ends)
    assert arrows == {}


def test_what_dvc_does_not_see_holds_no_code() -> None:
    packages = [path for path in ROOT.glob("wbc/**/__init__.py") if room_of(str(path.relative_to(ROOT))) == "wbc/tools"]
    tops = {ROOT / "wbc" / "__init__.py": 2, ROOT / "stages" / "__init__.py": 3, **dict.fromkeys(packages, 1)}
    for path, statements in tops.items():
        assert len(ast.parse(path.read_text()).body) == statements, path


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_waits_for_the_check_of_the_parameters(stage: str) -> None:
    assert stage == "check" or "data/params-checked.txt" in STAGES[stage]["deps"]


def test_no_stage_enters_a_room_of_the_command_line() -> None:
    later = {f"wbc/{room}" for room in ("audit", "cards", "commands", "compare", "gate", "recipes", "tracking")}
    assert [stage for stage in STAGES if stage != "check" and later & rooms_of(stage)] == []
