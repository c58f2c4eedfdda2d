import json
from pathlib import Path

import pandas as pd
import pytest

from wbc.base.files import require_made, require_output, write_csv, write_json, written_aside


def test_a_file_appears_with_its_folder_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.csv"
    with written_aside(path) as aside:
        aside.write_text("content")
        assert aside.suffix == ".csv"
        assert not path.exists()
    assert path.read_text() == "content"
    assert list(path.parent.iterdir()) == [path]


def test_a_broken_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def break_off() -> None:
        with written_aside(path) as aside:
            aside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_run_left_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with written_aside(path) as aside:
        pass_by = aside
        aside.write_text("first")
    pass_by.write_text("left by a killed run, and longer")
    with written_aside(path) as aside:
        aside.write_text("second")
    assert path.read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_keeps_eight_digits_and_empty_cells(tmp_path: Path) -> None:
    write_csv(tmp_path / "table.csv", pd.DataFrame({"name": ["a", ""], "value": [1 / 3, None], "count": [1, 2]}))
    assert (tmp_path / "table.csv").read_bytes() == b"name,value,count\na,0.33333333,1\n,,2\n"


def test_json_keeps_its_order_and_ends_with_a_newline(tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", {"b": 1.5, "a": [None]})
    text = (tmp_path / "metrics.json").read_text()
    assert list(json.loads(text).items()) == [("b", 1.5), ("a", [None])]
    assert text.endswith("}\n")


def test_a_number_that_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "metrics.json", {"accuracy": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("files", "refused"), [((), False), (("sign", "other"), False), (("other",), True)])
def test_a_folder_is_known_by_its_sign(tmp_path: Path, files: tuple[str, ...], refused: bool) -> None:
    require_made(tmp_path / "absent", sign="sign")
    for name in files:
        (tmp_path / name).touch()
    if refused:
        with pytest.raises(ValueError, match="holds files but no sign"):
            require_made(tmp_path, sign="sign")
    else:
        require_made(tmp_path, sign="sign")


@pytest.mark.parametrize("name", ["params.yaml", "photograph.jpg", "folder.md", "", "noend"])
def test_an_output_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(ValueError, match=r"must be a file that ends in \.md or \.markdown"):
        require_output(tmp_path / name, suffixes=[".md", ".markdown"])


@pytest.mark.parametrize("name", ["page.md", "PAGE.MD", "new/page.md"])
def test_an_output_of_its_kind_may_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "page.md").touch()
    require_output(tmp_path / name, suffixes=[".md"])
