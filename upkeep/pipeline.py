"""Writes what dvc.yaml says into pages for people: `python -m upkeep.pipeline`.

docs/pipeline.md gets a drawing of the stages and the files between them, CONTRIBUTING.md what reruns when.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from wbc.tools.markdown import insert_table, render_table

Stages = Mapping[str, Mapping[str, Any]]

DRAWING, RERUNS = Path("docs/pipeline.md"), Path("CONTRIBUTING.md")
CHECK = "check"  # every stage waits for it: an arrow from each would say nothing


def main() -> None:
    """Write both pages of the present folder."""
    stages = read_stages(Path("dvc.yaml"))
    insert_table(DRAWING, draw_pipeline(stages))
    insert_table(RERUNS, tabulate_reruns(stages))


def read_stages(path: Path) -> Stages:
    """Return the stages of a dvc.yaml by their names."""
    stages: Stages = YAML(typ="safe").load(path.read_text())["stages"]
    return stages


def draw_pipeline(stages: Stages) -> str:
    """Return a Mermaid drawing: a box for each stage with its rooms of wbc/, an arrow for the files that pass on."""
    lines = ["```mermaid", "flowchart TD"]
    for name, stage in stages.items():
        rooms = ", ".join(room.removeprefix("tools/").removesuffix(".py") for room in _rooms(stage))
        lines.append(f'  {name}["<b>{name}</b><br>{rooms}"]')
    lines.append(f"  {CHECK} --> {next(name for name in stages if name != CHECK)}")
    made = {file: name for name, stage in stages.items() for file in _outs(stage)}
    for name, stage in stages.items():
        passed: dict[str, list[str]] = {}
        for file in stage["deps"]:
            if made.get(file, CHECK) != CHECK:
                passed.setdefault(made[file], []).append(file)
        lines += [f'  {maker} -- "{"<br>".join(files)}" --> {name}' for maker, files in passed.items()]
    return "\n".join([*lines, "```", ""])


def tabulate_reruns(stages: Stages) -> str:
    """Return a Markdown table: which stages rerun after an edit of each room, by dvc.yaml's deps."""
    readers: dict[str, list[str]] = {}
    for name, stage in stages.items():
        for room in _rooms(stage):
            readers.setdefault(room, []).append(f"`{name}`")
    rows = [[f"`wbc/{room}`", ", ".join(readers[room])] for room in sorted(readers) if not room.endswith("/params.py")]
    return render_table(["you edit", "what reruns"], rows)


def _rooms(stage: Mapping[str, Any]) -> list[str]:
    return [dep.removeprefix("wbc/") for dep in stage["deps"] if dep.startswith("wbc/")]


def _outs(stage: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of a stage's outs, metrics and plots, which are plain or keys of their settings."""
    for kind in ("outs", "metrics", "plots"):
        for item in stage.get(kind, []):
            yield item if isinstance(item, str) else next(iter(item))


if __name__ == "__main__":
    main()
