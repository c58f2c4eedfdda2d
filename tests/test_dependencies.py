"""Each stage's deps in dvc.yaml are the modules that its file imports, directly or not, and nothing else of ours."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
READ_AT_RUN_TIME = {"wbc/sources/bccd.py": {"wbc/sources/bccd.sha256"}}


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


def declared_modules(stage: str) -> set[str]:
    return {dep for dep in STAGES[stage]["deps"] if dep.startswith(("wbc/", "stages/"))}


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_import_closure(stage: str) -> None:
    assert declared_modules(stage) == import_closure(f"stages/{stage}.py")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_waits_for_the_check_of_the_parameters(stage: str) -> None:
    assert stage == "check" or "data/params-checked.txt" in STAGES[stage]["deps"]


def test_only_evaluate_depends_on_the_figures() -> None:
    assert [stage for stage in STAGES if "wbc/evaluate/score_figures.py" in import_closure(f"stages/{stage}.py")] == ["evaluate"]


def test_no_stage_imports_the_tracking_or_the_gate() -> None:
    later = {"wbc/tracking/tracking.py", "wbc/tracking/promotion.py", "wbc/gate/gate.py"}
    assert not [stage for stage in STAGES if later & import_closure(f"stages/{stage}.py")]
