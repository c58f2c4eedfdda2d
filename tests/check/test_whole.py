from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from wbc.base.params import ParamsError
from wbc.check.whole import check_params
from wbc.models.params import MODEL_NAMES

ROOT = Path(__file__).parents[2]


def write_params(folder: Path, changes: dict[str, Any]) -> Path:
    """Write the project's params.yaml with ``changes``, {dotted key: value}, and return its path."""
    content = YAML(typ="safe").load(ROOT / "params.yaml")
    for key, value in changes.items():
        *sections, last = key.split(".")
        place = content
        for section in sections:
            place = place[section]
        place[last] = value
    path = folder / "params.yaml"
    YAML(typ="safe").dump(content, path)
    return path


def test_the_projects_own_params_are_valid() -> None:
    assert check_params(ROOT / "params.yaml").model == "efficientnet_lite0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "leaky"}, f"no 'leaky'; there are {', '.join(MODEL_NAMES)}; nearest: leaky_cnn"),
        ({"data.source": "smear"}, "data.source: no 'smear'; there are bccd, smears, "),
        ({"data.source": "BCCD"}, "nearest: bccd"),
        ({"data.source": "Folder"}, "nearest: folders"),
        ({"model": "VGG"}, "nearest: vgg16"),
        ({"clean.windw": 3}, "clean.windw: Extra inputs are not permitted"),
        ({"split.test": 1.5}, "split.test: Input should be less than 1"),
        ({"split.validation": 0.9}, "validation and test together leave nothing for training"),
        ({"split.folds": 5, "split.fold": 5}, "fold 5 does not exist"),
        ({"augment.target_per_class": None, "augment.copies": None}, "there is no end to the views"),
        ({"models.compact_cnn.weights": "imagenet"}, "models.compact_cnn.weights"),
        ({"train.warm_up": 99}, "99 epochs of warm-up leave nothing of models.efficientnet_lite0.epochs"),
        ({"train.mixup": 0.2, "train.class_weights": True}, "mixup blends two: use one of them"),
        ({"train.mixup": 0.2, "train.probe_epochs": 2}, "mixup blends images anew: use one of them"),
        ({"train.probe_epochs": 2, "model": "leaky_cnn"}, "train.probe_epochs: leaky_cnn has no backbone"),
        ({"train.probe_epochs": 2, "model": "vgg16"}, "models.vgg16.trainable is none: raise models.vgg16.epochs"),
        (
            {
                "train.probe_epochs": 2,
                "models.efficientnet_lite0.weights": "random",
                "models.efficientnet_lite0.trainable": "all",
            },
            "models.efficientnet_lite0.weights: random has nothing to probe",
        ),
        ({"evaluate.wished_error": 1.0}, "evaluate.wished_error: Input should be less than 1"),
        ({"train.views": 8, "clean.size": [120, 160]}, "train.views: 8 need square images"),
        ({"external": [{"source": "bccd"}]}, "external: bccd is what the model is trained on"),
        (
            {"external": [{"source": "blood_cells", "window": 90}]},
            "blood_cells shows what bccd does, which the model is trained on: blood_cells are altered copies of bccd's",
        ),
        (
            {"data.source": "blood_cells", "external": [{"source": "bccd"}]},
            "bccd shows what blood_cells does, which the model is trained on: blood_cells are altered copies of bccd's",
        ),
        (
            {"external": [{"source": "smears"}, {"source": "smears", "window": 90}]},
            "external: smears is there more than once: give each a `name` of its own",
        ),
        ({"split.strategy": "leaky", "augment.order": "balance_first"}, "set augment.order to views_first"),
        ({"external": [{"source": "smears", "window": 90}], "clean.crop": "whole"}, "external: window: 90 is"),
        (
            {"external": [{"source": "smears", "rename": {"BANDS": "BLAST"}}]},
            "rename: no class BANDS; there are",
        ),
        (
            {"external": [{"source": "folders", "rename": {"POLYMORPH": "neutrophils"}}]},
            "rename: no class NEUTROPHILS; there are BASOPHIL, EOSINOPHIL, LYMPHOCYTE, MONOCYTE, NEUTROPHIL; nearest",
        ),
        ({"gate.per_class": {"BASOPHIL": {"f1": 0.5}}}, "BASOPHIL is dropped by clean.exclude"),
        (
            {"gate.per_class": {"MONOCITE": {"f1": 0.5}}},
            "gate.per_class: bccd has no class MONOCITE; there are BASOPHIL",
        ),
        (
            {"clean.exclude": ["MONOCITE"]},
            "clean.exclude: bccd has no class MONOCITE; there are BASOPHIL, EOSINOPHIL, ",
        ),
        ({"clean.thin": {"MONOCITE": 0.5}}, "clean.thin: bccd has no class MONOCITE; there are BASOPHIL, EOSINOPHIL, "),
        (
            {"clean.exclude": ["BAND"], "data.source": "smears"},
            "clean.exclude: smears has no class BAND; there are BASOP",
        ),
        ({"clean.exclude": ["ERYTHROBLASTS"], "data.source": "npz"}, "nearest: ERYTHROBLAST"),
        ({"clean.exclude": ["BASOPHILS"], "data.source": "blood_cells"}, "blood_cells has no class BASOPHILS"),
    ],
)
def test_a_fault_is_named_with_its_key(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        check_params(write_params(tmp_path, changes))
    assert message in str(caught.value)


def test_one_source_may_be_tested_twice_under_two_names(tmp_path: Path) -> None:
    twice = [{"source": "smears"}, {"source": "smears", "window": 90, "name": "smears, close"}]
    external = check_params(write_params(tmp_path, {"external": twice})).external.root
    assert [one.called for one in external] == ["smears", "smears, close"]


@pytest.mark.parametrize("source", ["smears", "npz", "blood_cells"])
def test_another_source_needs_no_word_about_classes(tmp_path: Path, source: str) -> None:
    assert check_params(write_params(tmp_path, {"data.source": source})).data.source == source


def test_an_archive_of_other_classes_needs_no_word_about_the_gate(tmp_path: Path) -> None:
    changes = {"data.source": "npz", "sources.npz.classes": ["BLAST", "ERYTHROBLAST"]}
    assert check_params(write_params(tmp_path, changes)).sources.npz.classes == ("BLAST", "ERYTHROBLAST")


def test_classes_of_ones_own_are_not_known_here(tmp_path: Path) -> None:
    changes = {"data.source": "folders", "sources.folders.path": "cells", "clean.exclude": ["GIANT"]}
    assert check_params(write_params(tmp_path, changes)).clean.exclude == ("GIANT",)


def test_every_fault_gets_its_line(tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        check_params(write_params(tmp_path, {"seed": -1, "clean.window": 3}))
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == ["seed", "clean.window"]


@pytest.mark.parametrize(("deps", "refused"), [(["own.py"], False), ([], True)])
def test_a_network_of_ones_own_must_be_a_dependency_of_training(tmp_path: Path, deps: list[str], refused: bool) -> None:
    (tmp_path / "own.py").touch()
    YAML(typ="safe").dump({"stages": {"train": {"deps": deps}}}, tmp_path / "dvc.yaml")
    path = write_params(tmp_path, {"model": "custom", "models.custom.build": "own:build"})
    if refused:
        with pytest.raises(ParamsError, match=r"an edit of own\.py: add it to the deps of train in dvc\.yaml"):
            check_params(path)
    else:
        assert check_params(path).model == "custom"


def test_the_network_that_custom_starts_with_is_usable(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    (tmp_path / "wbc" / "models").mkdir(parents=True)
    (tmp_path / "wbc" / "models" / "compact_cnn.py").touch()
    assert check_params(write_params(tmp_path, {"model": "custom"})).model == "custom"
