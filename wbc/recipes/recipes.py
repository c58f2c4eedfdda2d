"""Runs published systems under their study's protocol and under an honest one, and sets the figures side by side."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
from dvc.utils.flatten import flatten
from pydantic import Field

from wbc.base.params import Section, read_params, validate
from wbc.gate.gate import read_metrics
from wbc.tracking.experiment import experiment_folder, export_results

RECIPES = Path(__file__).with_name("recipes.yaml")
Protocol = Literal["theirs", "honest"]
PROTOCOLS: tuple[Protocol, ...] = ("theirs", "honest")
Settings = dict[str, Any]  # keys as `dvc exp run -S` takes them
_HONEST = {"validation_accuracy": "test_accuracy"}  # what an honest figure is in place of another


class StandInParams(Section):
    """Settings that replace those of a recipe whose files or weights cannot be had."""

    both: Settings = Field(default_factory=dict)
    theirs: Settings = Field(default_factory=dict)
    honest: Settings = Field(default_factory=dict)


class Recipe(Section):
    """One published system: see the head of recipes.yaml."""

    study: str
    claimed: dict[str, float]
    needs: str = ""
    both: Settings
    theirs: Settings
    honest: Settings
    stand_in: StandInParams | None = None
    remark: str = ""


class _Recipes(Section):
    recipes: dict[str, Recipe]


class Outcome(NamedTuple):
    """What a run measured, under MLflow's names (test_accuracy), and the weights that it started from."""

    metrics: dict[str, float]
    weights: str


def read_recipes(path: Path = RECIPES) -> dict[str, Recipe]:
    """Return the recipes by name. Raises ParamsError."""
    content = read_params(path)
    return validate(_Recipes, {"recipes": content.get("recipes")}).recipes


def choose_recipe(name: str, recipes: Mapping[str, Recipe], *, stand_in: bool) -> Recipe:
    """Return the recipe ``name``. Raises ValueError where there is none, or it has no stand-in and one is asked for."""
    if name not in recipes:
        raise ValueError(f"no recipe {name!r}; there are {', '.join(recipes)}")
    if stand_in and recipes[name].stand_in is None:
        raise ValueError(f"{name} needs no stand-in: all that it takes is at hand")
    return recipes[name]


def settings_of(recipe: Recipe, protocol: Protocol, *, stand_in: bool = False) -> Settings:
    """Return what the recipe sets in params.yaml, without what it sets of sources that it does not use."""
    layers: list[Any] = [recipe, recipe.stand_in] if stand_in else [recipe]
    settings: Settings = {}
    for layer in layers:
        settings |= layer.both
    for layer in layers:
        settings |= getattr(layer, protocol)
    own = f"sources.{settings['data.source']}."
    return {key: value for key, value in settings.items() if not key.startswith("sources.") or key.startswith(own)}


def run_recipe(name: str, protocol: Protocol, *, settings: Settings, extra: Sequence[str] = ()) -> Outcome:
    """Run the pipeline with ``settings`` and ``extra`` ones (key=value) as the DVC experiment recipe-NAME-PROTOCOL.

    It leaves the work tree as it is; its results come to experiments/. Raises OSError when the run fails.
    """
    experiment = f"recipe-{name}-{protocol}".replace("_", "-")
    arguments = [part for change in [*overrides(settings), *extra] for part in ("-S", change)]
    run = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "--force", "--name", experiment]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the stages call `python` and `wbc`
    if subprocess.run([*run, *arguments, "evaluate"], env=os.environ | {"PATH": path}).returncode:
        raise OSError(f"the run {experiment} failed, see above")
    folder = experiment_folder(experiment)
    export_results(experiment, destination=folder)
    training = read_metrics(folder / "train.json", stage="train")
    evaluation = flatten(read_metrics(folder / "evaluation.json", stage="evaluate"))
    measured = {key: value for key, value in training.items() if isinstance(value, float)}
    return Outcome(measured | {f"test_{key}": value for key, value in evaluation.items()}, training["weights_used"])


def overrides(settings: Settings) -> list[str]:
    """Return ``settings`` in the grammar of `dvc exp run -S` (Hydra's). A ``++`` lets a mapping have new keys."""
    return [f"{'++' * isinstance(value, dict)}{key}={_override(value)}" for key, value in settings.items()]


def _override(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_override(item)}' for key, item in value.items())}}}"
    return value if isinstance(value, str) else json.dumps(value)


def find_run(runs: pd.DataFrame, *, settings: Settings) -> Outcome | None:
    """Return the latest of ``runs``, as MLflow has them, that was made with ``settings``, None if there is none."""
    expected = flatten({_recorded(key, settings): value for key, value in settings.items()})
    empty = tuple(f"{_recorded(key, settings)}." for key, value in settings.items() if value == {})
    for _, run in runs.iterrows():
        known = {str(key): value for key, value in run.dropna().items()}
        alike = all(key in known and _parse(known[key]) == value for key, value in expected.items() if value != {})
        if alike and not any(key.startswith(empty) for key in known if empty):
            return Outcome(
                {key: value for key, value in known.items() if isinstance(value, float)}, known["weights_used"]
            )
    return None


def _recorded(key: str, settings: Settings) -> str:
    """Return the name of a setting in MLflow."""
    return key.replace(f"models.{settings['model']}.", "model.")


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def describe_outcome(outcome: Outcome | None, metrics: Sequence[str]) -> str:
    """Return what was measured of ``metrics``, each with its interval if it has one, and of how many images."""
    if outcome is None:
        return "not run yet"
    texts = []
    for name in metrics:
        ends = [outcome.metrics.get(f"{name}_{end}") for end in ("low", "high")]
        interval = f" ({ends[0]:.3f} to {ends[1]:.3f})" if None not in ends else ""
        texts.append(f"{_plain(name)} {outcome.metrics[name]:.3f}{interval}")
    return f"{', '.join(texts)}, {outcome.metrics['test_images']:.0f} test images"


def _plain(metric: str) -> str:
    return metric.removeprefix("test_").replace("_", " ").replace("f1", "F1")


def metrics_of(recipe: Recipe, protocol: Protocol) -> list[str]:
    """Return what to show of a run: what the study claims, or the same of the test part where it is to be honest."""
    claimed = list(recipe.claimed) or ["validation_accuracy"]
    if protocol == "theirs":
        return claimed
    return [*(_HONEST.get(name, name) for name in claimed), "test_balanced_accuracy"]


def describe_claim(recipe: Recipe) -> str:
    """Return the study's figures."""
    return ", ".join(f"{_plain(name)} {value:.3f}" for name, value in recipe.claimed.items()) or "none"
