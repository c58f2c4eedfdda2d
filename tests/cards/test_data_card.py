from pathlib import Path

import pandas as pd
from typer.testing import CliRunner

from tests.locks import write_lock
from wbc.cards.data_card import tabulate_data, write_data_card
from wbc.cli import app

CLEANED = {
    "records": 9,
    "kept": 5,
    "labelled": {"A": 4, "B": 3},
    "classes": {"A": 3, "B": 2},
    "reasons": {"missing_file": 2, "unlabelled": 0, "contradictory_label": 2},
    "fewer_boxes_than_labels": 1,
    "located": {"boxed": 4, "inside": 4, "rate": 1.0},
    "twins": {"pairs": 3, "copy": 0, "same_cell": 2, "overlap": 1, "groups": 1, "grouped_images": 4},
    "flags": {"cut_by_frame": 2, "no_nucleus": 0},
}


def test_the_card_counts_what_was_kept_dropped_grouped_flagged_and_doubted() -> None:
    suspects = pd.DataFrame({"label": ["A", "B", "B"], "looks_like": ["B", "A", "A"]})
    table = tabulate_data(CLEANED, {"test": {"images": 2, "classes": {"A": 1, "B": 1}}}, suspects)
    assert table.splitlines()[2:] == [
        "| rows of labels and photographs | 9 |",
        "| photographs of one labelled cell | 4 A, 3 B |",
        "| kept | 5: 3 A, 2 B |",
        "| dropped: the label names a photograph that is not there | 2 |",
        "| dropped: the cell is that of the photograph named in `detail`, which has another class | 2 |",
        "| kept without a box of a white cell | 1 |",
        "| nucleus found inside the box | 4 of 4 |",
        "| pairs of photographs of one field | 3: 2 of one cell, 1 of overlapping fields, 0 plain copies |",
        "| groups that they form | 1 of 4 photographs |",
        "| flagged cut by frame | 2 |",
        "| labels in doubt | 3: 2 B like A, 1 A like B |",
        "| test part | 2: 1 A, 1 B |",
    ]


def take_source(folder: Path, name: str) -> None:
    path = folder / "params.yaml"
    path.write_text(path.read_text().replace("source: bccd ", f"source: {name} "))


def test_other_data_get_a_card_of_their_own(recorded: Path) -> None:
    card = recorded / "docs" / "data-card.md"
    write_data_card(card, source="bccd", table="| of bccd |\n")
    take_source(recorded, "folders")
    before = card.read_text()

    result = CliRunner().invoke(app, ["data-card"])
    refused = CliRunner().invoke(app, ["data-card", "--output", str(card)])

    assert result.output.startswith("written to docs/data-card-folders.md: folders, ")
    own = (recorded / "docs" / "data-card-folders.md").read_text()
    assert own.startswith("# Data card: folders\n")
    assert "| kept | 5: 3 A, 2 B |" in own
    assert (refused.exit_code, card.read_text()) == (2, before)
    assert "is no data card of folders: name another file with --output" in refused.stderr.replace("\n", " ")


def test_what_was_written_round_the_table_stays(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    write_data_card(card, source="folders", table="| first |\n")
    card.write_text(card.read_text() + "\nTaken in 2024.\n")

    write_data_card(card, source="folders", table="| second |\n")

    text = card.read_text()
    assert "| second |" in text
    assert "first" not in text
    assert text.endswith("\nTaken in 2024.\n")


def test_counts_of_another_run_are_not_written(recorded: Path) -> None:
    write_lock(recorded, split={"split": {"fold": 3}})

    result = CliRunner().invoke(app, ["data-card"])

    assert result.exit_code == 2
    assert "split ran with split.fold=3, params.yaml has 0" in result.stderr
