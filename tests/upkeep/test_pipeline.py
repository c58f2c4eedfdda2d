from pathlib import Path

from upkeep.pipeline import DRAWING, RERUNS, draw_pipeline, read_stages, tabulate_reruns

ROOT = Path(__file__).parents[2]
STAGES = {
    "check": {"deps": ["wbc/base"], "outs": ["data/checked"]},
    "download": {"deps": ["wbc/base", "wbc/tools/fetch.py", "data/checked"], "outs": [{"data/raw": {"cache": True}}]},
    "clean": {"deps": ["wbc/base", "wbc/clean", "data/checked", "data/raw"], "metrics": ["metrics/clean.json"]},
}


def test_files_that_pass_on_are_arrows() -> None:
    assert draw_pipeline(STAGES).splitlines() == [
        "```mermaid",
        "flowchart TD",
        '  check["<b>check</b><br>base"]',
        '  download["<b>download</b><br>base, fetch"]',
        '  clean["<b>clean</b><br>base, clean"]',
        "  check --> download",
        '  download -- "data/raw" --> clean',
        "```",
    ]


def test_a_room_names_the_stages_that_read_it() -> None:
    assert tabulate_reruns(STAGES).splitlines()[2:] == [
        "| `wbc/base` | `check`, `download`, `clean` |",
        "| `wbc/clean` | `clean` |",
        "| `wbc/tools/fetch.py` | `download` |",
    ]


def test_the_pages_say_what_dvc_yaml_says() -> None:
    stages = read_stages(ROOT / "dvc.yaml")
    assert draw_pipeline(stages) in (ROOT / DRAWING).read_text(), "run python -m upkeep.pipeline"
    assert tabulate_reruns(stages) in (ROOT / RERUNS).read_text(), "run python -m upkeep.pipeline"
