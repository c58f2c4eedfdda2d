"""Validates params.yaml before any stage that could delete an earlier result."""

from pathlib import Path

from wbc.base.files import written_aside
from wbc.base.stage import run_stage
from wbc.check.whole import check_params


def main() -> None:
    """Check the whole file and write a constant, so that no stage reruns for what it does not read."""
    check_params()
    with written_aside(Path("data/params-checked.txt")) as aside:
        aside.write_text("params.yaml is valid\n")


if __name__ == "__main__":
    run_stage("check", main, published=False)  # it makes nothing to look at
