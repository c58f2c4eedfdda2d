"""A path of the user's in an output of DVC is refused before DVC empties it, however it is written."""

import os
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from wbc.base.params import ParamsError
from wbc.check.paths import read_outputs, require_apart
from wbc.check.whole import check_params

ROOT = Path(__file__).parents[2]
SHA256 = "0" * 64


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a project with the outputs of this one, beside a folder of photographs and some links."""
    folder = tmp_path / "home" / "project"
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "models" / "pretrained").mkdir(parents=True)
    (folder / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    (tmp_path / "home" / "photographs").mkdir()
    (folder / "link").symlink_to("data/raw")
    (folder / "data" / "raw" / "outward").symlink_to(tmp_path / "home" / "photographs")
    for name in [name for name in os.environ if name.startswith(("DVC_", "WBC_", "KERAS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(folder)
    return folder


def check(folder: Path, changes: dict[str, Any]) -> None:
    content = YAML(typ="safe").load(ROOT / "params.yaml")
    for key, value in changes.items():
        *sections, last = key.split(".")
        place = content
        for section in sections:
            place = place[section]
        place[last] = value
    YAML(typ="safe").dump(content, folder / "params.yaml")
    check_params(Path("params.yaml"))


REFUSED = [
    "data/raw",
    "data/raw/",
    "./data/raw",
    "data/raw/mine/deep",
    "data/../data/raw",
    "../project/data/raw",
    "link",
    "link/mine",
    "data/raw/outward",
    "{folder}/data/raw/mine",
    "~/project/data/raw",
    "data/cells.npy",
    "metrics/figures/clean/mine",
    "models/pretrained",
    "data",
    ".",
    "..",
    "{folder}",
    "/",
    "~",
]
ALLOWED = ["../photographs", "~/photographs", "photographs", "data/mine", "data/raw2", "data/raw.zip", "models/own"]


@pytest.mark.parametrize("path", REFUSED)
def test_photographs_in_an_output_are_refused(workspace: Path, path: str) -> None:
    named = path.format(folder=workspace)
    with pytest.raises(ParamsError, match=r"^params.yaml: sources.folders.path: .* move what is yours to a folder"):
        check(workspace, {"data.source": "folders", "sources.folders.path": named})


def test_a_link_to_an_output_that_is_not_made_yet_is_refused(workspace: Path) -> None:
    (workspace / "link-to-models").symlink_to("models/model.keras")
    with pytest.raises(ParamsError, match=r"^params.yaml: sources.folders.path: link-to-models lies in"):
        check(workspace, {"data.source": "folders", "sources.folders.path": "link-to-models"})


@pytest.mark.parametrize("path", ALLOWED)
def test_photographs_elsewhere_are_not(workspace: Path, path: str) -> None:
    check(workspace, {"data.source": "folders", "sources.folders.path": path})


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"sources.folders.path": "data/raw/mine"}, "sources.folders.path"),  # also of a source that is not chosen
        ({"sources.npz.path": "data/raw/own.npz"}, "sources.npz.path"),
        ({"data.groups": {"file": "data/raw/groups.csv"}}, "data.groups.file"),
        ({"data.groups": {"file": "metrics/predictions.csv"}}, "data.groups.file"),
        ({"models.vgg16.weights": f"models/pretrained/own.h5#sha256={SHA256}"}, "models.vgg16.weights"),
        ({"models.custom.build": "models.pretrained.own:build"}, "models.custom.build"),
    ],
)
def test_every_path_of_the_users_is_looked_at(workspace: Path, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ParamsError, match=f"^params.yaml: {key}: .* lies in "):
        check(workspace, changes)


@pytest.mark.parametrize(
    ("variable", "value"), [("WBC_MIRROR", "data/raw"), ("WBC_MIRROR", "."), ("KERAS_HOME", "models/pretrained")]
)
def test_a_folder_that_a_variable_names_is_looked_at(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ParamsError, match=f"^{variable}: .* lies in "):
        check(workspace, {})


@pytest.mark.parametrize("value", ["https://mirror.example/data/raw", "../photographs", ""])
def test_a_mirror_elsewhere_is_none_of_dvcs(workspace: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("WBC_MIRROR", value)
    check(workspace, {})


def test_urls_are_no_paths(workspace: Path) -> None:
    url = "https://images.example/data/raw"
    check(workspace, {"sources.folders.path": f"{url}.zip", "sources.folders.sha256": SHA256})
    check(workspace, {"models.vgg16.weights": f"{url}/own.h5#sha256={SHA256}"})


def test_a_throw_away_clone_looks_at_the_main_workspace_as_well(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = workspace / ".dvc" / "tmp" / "clone"
    clone.mkdir(parents=True)
    (clone / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    monkeypatch.chdir(clone)
    for path in ("data/raw", str(workspace / "data" / "raw"), str(clone / "data" / "raw"), "link"):
        with pytest.raises(ParamsError, match=r"sources\.folders\.path"):
            check(clone, {"sources.folders.path": path})
    check(clone, {"sources.folders.path": "../photographs"})


def test_outputs_of_all_kinds_are_read(tmp_path: Path) -> None:
    stages = {"a": {"cmd": "x", "outs": ["one", {"two": {"cache": False}}], "metrics": ["three"], "plots": ["four"]}}
    YAML(typ="safe").dump({"stages": {**stages, "b": {"cmd": "x"}}}, tmp_path / "dvc.yaml")
    assert read_outputs(tmp_path / "dvc.yaml") == ["one", "two", "three", "four"]


def test_each_fault_gets_its_line(workspace: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        require_apart({"a": "data/raw", "b": "photographs", "c": "models"}, dvc_file=Path("dvc.yaml"))
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["a", "c"]
