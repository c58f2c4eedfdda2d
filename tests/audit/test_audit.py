import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from wbc.audit.audit import audit
from wbc.cli import app
from wbc.data.tables import TWINS, read_table
from wbc.sources.drawing import draw_smear


def draw(path: Path, number: int, *, take: int = 0) -> None:
    image, _ = draw_smear(seed=2, number=number, classes=["NEUTROPHIL"], width=320, height=240, take=take)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Class folders with one cell in both of them, one class photographed twice, and what is no image."""
    images = tmp_path / "images"
    draw(images / "BAND" / "1.png", 1)
    draw(images / "BAND" / "2.png", 2)
    draw(images / "BAND" / "3.JPG", 2, take=1)
    draw(images / "BLAST" / "1.tif", 1)
    draw(images / "BLAST" / "4.bmp", 4)
    (images / "BLAST" / "5.png").write_bytes(b"no image")
    (images / "notes.txt").write_text("no image either")
    return images


def test_a_folder_of_classes(folder: Path, tmp_path: Path) -> None:
    before = sorted(folder.rglob("*"))
    counts = audit(folder, output=tmp_path / "out")
    assert counts["images"] == 6
    assert counts["unreadable"] == 1
    assert counts["twins"] == {
        "pairs": 2,
        "copy": 1,
        "same_cell": 1,
        "overlap": 0,
        "groups": 2,
        "grouped_images": 4,
        "largest_group": 2,
        "contradictory_images": 2,
    }
    images = pd.read_csv(tmp_path / "out" / "images.csv", keep_default_na=False).set_index("id")
    assert images["label"].tolist() == ["BAND", "BAND", "BAND", "BLAST", "BLAST"]
    assert images["group"].tolist() == ["BAND/1.png", "BAND/2.png", "BAND/2.png", "BAND/1.png", "BLAST/4.bmp"]
    assert images["contradicts"].tolist() == ["BLAST/1.tif", "", "", "BAND/1.png", ""]
    assert (tmp_path / "out" / "dropped.csv").read_text() == (
        'id,label,reason,detail\nBLAST/5.png,BLAST,unreadable,"it is damaged, or no image of 8 or 16 bits a channel"\n'
    )
    twins = read_table(tmp_path / "out" / "twins.csv", TWINS)
    assert twins[["id_a", "id_b"]].values.tolist() == [["BAND/1.png", "BLAST/1.tif"], ["BAND/2.png", "BAND/3.JPG"]]
    assert json.loads((tmp_path / "out" / "audit.json").read_text()) == counts
    assert sorted(folder.rglob("*")) == before


def test_the_command_prints_the_counts_and_writes_the_figures(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["audit", str(folder), "--output", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    lines = {
        line.split("│")[1].strip(): line.split("│")[2].strip() for line in result.output.splitlines() if "│" in line
    }
    assert lines["images"] == "6"
    assert lines["pairs"] == "2"
    assert lines["contradictions"] == "2"
    assert cv2.imread(str(tmp_path / "out" / "twins.jpg")).shape == (156, 752, 3)
    assert (tmp_path / "out" / "flags.png").is_file()


def test_files_and_classes_are_those_of_the_source(tmp_path: Path) -> None:
    own = tmp_path / "own"
    for name in (
        "BAND/slide1/a.png",
        "BAND/slide2/b.png",
        "BLAST/slide1/c.jfif.png",
        ".checkpoints/d.png",
        "blast/e.png",
    ):
        draw(own / name, sum(name.encode()))
    draw(own / "BLAST" / "__MACOSX" / "f.png", 6)
    draw(own / "BLAST" / "g.png", 7)
    (own / "BLAST" / "g.png").rename(own / "BLAST" / "g.jfif")
    for _ in range(2):
        assert audit(own, output=own / "audit")["images"] == 5
    images = pd.read_csv(own / "audit" / "images.csv", keep_default_na=False)
    assert images[["id", "label"]].values.tolist() == [
        ["BAND/slide1/a.png", "BAND"],
        ["BAND/slide2/b.png", "BAND"],
        ["BLAST/g.jfif", "BLAST"],
        ["BLAST/slide1/c.jfif.png", "BLAST"],
        ["blast/e.png", "BLAST"],
    ]
    with pytest.raises(ValueError, match="is the folder that is audited: name another"):
        audit(own, output=own)


def test_a_flat_folder_without_twins(tmp_path: Path) -> None:
    draw(tmp_path / "flat" / "a.png", 1)
    counts = audit(tmp_path / "flat", output=tmp_path / "out")
    assert counts["twins"]["pairs"] == 0
    assert pd.read_csv(tmp_path / "out" / "images.csv", keep_default_na=False).loc[0, "label"] == ""
    assert np.unique(cv2.imread(str(tmp_path / "out" / "twins.jpg"))).size > 2


@pytest.mark.parametrize(("name", "message"), [("absent", "is not a folder"), ("", "holds no image that decodes")])
def test_nothing_to_audit_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    result = CliRunner().invoke(app, ["audit", str(tmp_path / name), "--output", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["images.csv", "twins.jpg", "audit.json"])
def test_a_users_file_in_the_output_folder_is_not_overwritten(folder: Path, tmp_path: Path, name: str) -> None:
    output = tmp_path / "results"
    output.mkdir()
    (output / name).write_text("{}")
    result = CliRunner().invoke(app, ["audit", str(folder), "--output", str(output)])
    assert result.exit_code == 2
    assert f"{name} was not written by an audit: move it away" in " ".join(result.output.split())
    assert {path.name: path.read_text() for path in output.iterdir()} == {name: "{}"}


def test_an_earlier_audit_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    draw(tmp_path / "flat" / "a.png", 1)
    output = tmp_path / "results"
    audit(tmp_path / "flat", output=output)
    (output / "notes.txt").write_text("mine")
    draw(tmp_path / "flat" / "b.png", 2)
    audit(tmp_path / "flat", output=output)
    assert len(pd.read_csv(output / "images.csv")) == 2
    assert (output / "notes.txt").read_text() == "mine"


def test_the_audited_folder_is_no_output(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(ValueError, match="is the folder that is audited"):
        audit(folder, output=folder / "BAND" / "..")
    assert sorted(folder.rglob("*")) == before
