import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from upkeep.recipes import tabulate_recipes
from wbc.check.whole import check_params
from wbc.recipes.recipes import (
    PROTOCOLS,
    Outcome,
    Recipe,
    choose_recipe,
    describe_outcome,
    find_run,
    metrics_of,
    overrides,
    read_recipes,
    run_recipe,
    settings_of,
)

RECIPES = read_recipes()
TINY = Recipe(
    study="a tiny network",
    claimed={"validation_accuracy": 0.93},
    needs="a microscope",
    both={"model": "tiny", "data.source": "bccd", "clean.thin": {}, "models.tiny.epochs": 3},
    theirs={"split.strategy": "leaky", "split.folds": None},
    honest={"split.strategy": "grouped", "split.folds": 5},
    stand_in={"both": {"data.source": "smears", "sources.smears.seed": 1}},
    remark="a guess",
)

PARAMS = "model: huge\nthin: {}\nfolds: 5\n"
PIPELINE = """\
stages:
  evaluate:
    cmd: python toy.py
    deps: [toy.py]
    params: [model, thin, folds]
    outs:
    - metrics/train.json: {cache: false}
    - metrics/evaluation.json: {cache: false}
"""
TOY = """\
import json
from pathlib import Path

from ruamel.yaml import YAML

params = YAML(typ="safe").load(Path("params.yaml"))
assert params == {"model": "tiny", "thin": {"B": 0.5}, "folds": None}, params
scores = {"accuracy": 0.8, "accuracy_low": 0.7, "accuracy_high": 0.85, "auroc": None, "images": 35}
Path("metrics").mkdir(exist_ok=True)
Path("metrics/evaluation.json").write_text(json.dumps(scores))
Path("metrics/train.json").write_text(json.dumps({"weights_used": "random", "validation_accuracy": 0.9}))
"""


def run(**others: object) -> dict[str, object]:
    """Return a run of TINY under its study's protocol, as MLflow records it."""
    recorded: dict[str, object] = {
        "model": "tiny",
        "data.source": "bccd",
        "model.epochs": "3",
        "split.strategy": "leaky",
        "split.folds": "null",
        "weights_used": "random",
        "validation_accuracy": 0.9,
        "test_accuracy": 0.8,
        "test_accuracy_low": 0.7,
        "test_accuracy_high": 0.85,
        "test_balanced_accuracy": 0.75,
        "test_images": 35.0,
    }
    return recorded | others


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_recipe_makes_valid_parameters(name: str, protocol: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    for stand_in in {False, recipe.stand_in is not None}:
        params = YAML(typ="safe").load(Path(__file__).parents[2] / "params.yaml")
        params["sources"]["folders"]["path"] = "cells"  # what the recipe of the nine subtypes is to be given
        for key, value in settings_of(recipe, protocol, stand_in=stand_in).items():
            *sections, last = key.split(".")
            section = params
            for part in sections:
                section = section[part]
            assert last in section, f"{key} is not in params.yaml"
            section[last] = value
        with (tmp_path / "params.yaml").open("w") as file:
            YAML(typ="safe").dump(params, file)
        check_params(tmp_path / "params.yaml")


def test_what_needs_nothing_has_no_stand_in_and_what_needs_something_has_one() -> None:
    for name, recipe in RECIPES.items():
        assert (recipe.needs != "") == (recipe.stand_in is not None), name


def test_the_honest_protocol_is_grouped_and_clean_and_keeps_model_and_input() -> None:
    for recipe in RECIPES.values():
        theirs, honest = (settings_of(recipe, protocol) for protocol in PROTOCOLS)
        assert honest["split.strategy"] == "grouped"
        assert honest["clean.twins"] is True
        assert {key for key in theirs | honest if theirs.get(key) != honest.get(key)} <= {
            *("clean.twins", "clean.contradictions", "clean.thin"),
            *("split.strategy", "split.folds", "split.fold", "split.test", "split.validation"),
        }


def test_a_stand_in_replaces_settings_and_drops_those_of_the_other_source() -> None:
    recipe = RECIPES["resnet50_blood_cells"]
    assert settings_of(recipe, "theirs")["sources.blood_cells.archive"] == "full"
    replaced = settings_of(recipe, "theirs", stand_in=True)
    assert replaced["data.source"] == "smears"
    assert "sources.blood_cells.archive" not in replaced
    assert replaced["split.strategy"] == "random"


@pytest.mark.parametrize(
    ("name", "stand_in"), [("alexnet_35", False), ("resnet_35", False), ("vgg16_nine_subtypes", True)]
)
def test_settings_are_written_as_dvc_reads_them(name: str, stand_in: bool, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "params.yaml", tmp_path)
    settings = settings_of(RECIPES[name], "theirs", stand_in=stand_in)

    apply_overrides(tmp_path / "params.yaml", overrides(settings))

    written = YAML(typ="safe").load(tmp_path / "params.yaml")
    for key, value in settings.items():
        read = functools.reduce(lambda section, part: section[part], key.split("."), written)
        assert read == value, key


def test_a_run_is_found_by_its_settings() -> None:
    theirs = settings_of(TINY, "theirs")
    found = find_run(pd.DataFrame([run(), run(test_accuracy=0.1)]), settings=theirs)
    assert found is not None
    assert found.metrics["test_accuracy"] == 0.8  # the latest
    for other in ({"model.epochs": "4"}, {"split.folds": "5"}, {"model": "huge"}, {"clean.thin.NEUTROPHIL": "0.1"}):
        assert find_run(pd.DataFrame([run(**other)]), settings=theirs) is None
    assert find_run(pd.DataFrame([run(**{"model.epochs": "3.0"})]), settings=theirs) is not None


def test_what_was_measured_has_its_interval_and_the_number_of_images() -> None:
    outcome = Outcome(
        {"test_accuracy": 0.8, "test_accuracy_low": 0.7, "test_accuracy_high": 0.85, "test_images": 35.0}, ""
    )
    assert describe_outcome(outcome, ["test_accuracy"]) == "accuracy 0.800 (0.700 to 0.850), 35 test images"
    assert describe_outcome(None, ["test_accuracy"]) == "not run yet"


def test_an_honest_figure_is_one_of_the_test_part() -> None:
    assert metrics_of(TINY, "theirs") == ["validation_accuracy"]
    assert metrics_of(TINY, "honest") == ["test_accuracy", "test_balanced_accuracy"]


def test_the_table_says_what_was_not_run_and_what_is_a_stand_in() -> None:
    def cells(*runs: dict[str, object]) -> list[str]:
        line = tabulate_recipes(pd.DataFrame(runs), {"tiny": TINY}).splitlines()[2]
        return [cell.strip() for cell in line.strip("|").split("|")]

    real, stand_in = run(), run(**{"data.source": "smears", "sources.smears.seed": "1"})
    assert cells(real, stand_in) == [
        "`wbc recipe tiny`",
        "a tiny network",
        "validation accuracy 0.930",
        "validation accuracy 0.900, 35 test images",
        "not run yet",
        "needs a microscope; a guess",
    ]
    assert cells(stand_in)[0] == "`wbc recipe tiny --stand-in`"
    assert cells(stand_in)[3] == "stand-in, says nothing about the study: validation accuracy 0.900, 35 test images"


def test_an_unknown_recipe_names_the_known_ones_and_no_stand_in_is_made_without_need() -> None:
    with pytest.raises(ValueError, match="no recipe 'compact'; there are compact_cnn_300, compact_cnn_900"):
        choose_recipe("compact", RECIPES, stand_in=False)
    with pytest.raises(ValueError, match="compact_cnn_300 needs no stand-in"):
        choose_recipe("compact_cnn_300", RECIPES, stand_in=True)


def test_the_recipes_are_listed_without_a_run() -> None:
    from typer.testing import CliRunner

    from wbc.cli import app

    result = CliRunner().invoke(app, ["recipe"])
    assert result.exit_code == 0
    assert all(name in result.output for name in RECIPES)
    result = CliRunner().invoke(app, ["recipe", "compact"])
    assert result.exit_code == 2


def test_a_recipe_runs_as_an_experiment_and_leaves_the_work_tree_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("DVC_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.chdir(tmp_path)
    files = {"toy.py": TOY, "dvc.yaml": PIPELINE, "params.yaml": PARAMS, ".gitignore": "/experiments/\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    for command in ("init", "config user.name toy", "config user.email toy@localhost"):
        subprocess.run(["git", *command.split()], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init"], check=True)
    subprocess.run(["git", "add", "."], check=True)
    subprocess.run(["git", "commit", "-q", "-m", "a project"], check=True)

    outcome = run_recipe("tiny_one", "theirs", settings={"thin": {"B": 0.5}, "model": "tiny"}, extra=["folds=null"])

    assert outcome.weights == "random"
    assert describe_outcome(outcome, ["validation_accuracy"]) == "validation accuracy 0.900, 35 test images"
    assert describe_outcome(outcome, ["test_accuracy"]) == "accuracy 0.800 (0.700 to 0.850), 35 test images"
    assert (tmp_path / "experiments" / "recipe-tiny-one-theirs" / "train.json").exists()
    assert (tmp_path / "params.yaml").read_text() == PARAMS
    with pytest.raises(OSError, match="the run recipe-tiny-one-honest failed"):
        run_recipe("tiny_one", "honest", settings={"unheard.of": 1})
