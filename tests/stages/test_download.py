from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from stages.download import main

ROOT = Path(__file__).parents[2]
NO_GROUPS = {"file": str(ROOT / "wbc/sources/no_groups.csv")}


@pytest.fixture
def smears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a project whose source is two drawn photographs, of a class each."""
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["data"] = {"source": "smears", "groups": NO_GROUPS}
    counts = {"counts": {"MONOCYTE": 1, "LYMPHOCYTE": 1}, "width": 160, "height": 160}
    none = dict.fromkeys(("multi_cell", "twins", "unlabelled", "missing", "corrupt", "duplicates"), 0)
    params["sources"]["smears"] |= counts | none
    YAML().dump(params, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_photographs_of_a_users_are_not_replaced_by_hand(smears: Path) -> None:
    (smears / "data" / "raw" / "mine").mkdir(parents=True)
    (smears / "data" / "raw" / "mine" / "1.jpg").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"data/raw holds files but no records\.csv, .*: move it away"):
        main()
    assert (smears / "data" / "raw" / "mine" / "1.jpg").read_bytes() == b"mine"


def test_what_was_downloaded_before_is_replaced(smears: Path) -> None:
    (smears / "data" / "raw").mkdir(parents=True)
    (smears / "data" / "raw" / "records.csv").write_text("of another source")
    main()
    assert len((smears / "data" / "raw" / "records.csv").read_text().splitlines()) == 3
    assert sorted(path.name for path in (smears / "data").iterdir()) == ["raw"]


def test_one_class_alone_stops_at_once_in_words(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "own" / "images").mkdir(parents=True)
    (project / "own" / "images" / "1.png").touch()
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["data"] = {"source": "folders", "groups": NO_GROUPS}
    params["sources"]["folders"]["path"] = "own"
    YAML().dump(params, project / "params.yaml")
    monkeypatch.chdir(project)
    with pytest.raises(ValueError, match=r"only one class, IMAGES, and a classifier needs two or more"):
        main()
    assert not (project / "data" / "raw").exists()


@pytest.mark.parametrize("name", ["<script>alert(1)", "=cmd|' C calc'!A0"])
def test_a_class_that_is_more_than_a_name_stops_at_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for folder in (name, "bands"):
        (project / "own" / folder).mkdir(parents=True)
        (project / "own" / folder / "1.png").touch()
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["data"] = {"source": "folders", "groups": NO_GROUPS}
    params["sources"]["folders"]["path"] = "own"
    YAML().dump(params, project / "params.yaml")
    monkeypatch.chdir(project)
    with pytest.raises(ValueError, match=r"the class .* rename the folder, or say in sources\.folders\.rename"):
        main()
    params["sources"]["folders"]["rename"] = {name: "odd"}
    YAML().dump(params, project / "params.yaml")
    main()
    assert ",ODD," in (project / "data" / "raw" / "records.csv").read_text()


def test_groups_are_supplied_and_spellings_that_nearly_agree_are_named(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in ("bands/1.png", "blasts/2.png"):
        (project / "own" / file).parent.mkdir(parents=True)
        (project / "own" / file).touch()
    (project / "groups.csv").write_text("id,group\nbands/1,P1\nblasts/2,p1\n")
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["data"] = {"source": "folders", "groups": {"file": "groups.csv"}}
    params["sources"]["folders"]["path"] = "own"
    YAML().dump(params, project / "params.yaml")
    monkeypatch.chdir(project)
    main()
    records = pd.read_csv(project / "data" / "raw" / "records.csv")
    assert dict(zip(records["category"], records["group"], strict=True)) == {"BANDS": "P1", "BLASTS": "p1"}
    assert "note: 'P1', 'p1' are 2 groups: write them alike if they are one" in capsys.readouterr().out
