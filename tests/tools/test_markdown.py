from pathlib import Path

import pytest

from wbc.tools.markdown import insert_table, render_table


def test_a_table_has_a_line_for_each_row() -> None:
    assert render_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_a_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "models.md"
    page.write_text("# Models\n\n<!-- table -->\nold\n<!-- end of table -->\n\nAfterwards.\n")
    for table in ("| first |\n", "| second |\n"):
        insert_table(page, table)
    assert page.read_text() == ("# Models\n\n<!-- table -->\n\n| second |\n\n<!-- end of table -->\n\nAfterwards.\n")


def test_a_page_without_marks_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "models.md"
    page.write_text("# Models\n")
    with pytest.raises(ValueError, match="has no place for a table: write <!-- table --> and"):
        insert_table(page, "| table |\n")
    assert page.read_text() == "# Models\n"
