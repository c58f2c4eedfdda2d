"""Registers trained models in MLflow: who challenges, who is champion and who was before.

Beside wbc.tracking.publish the only module that imports mlflow.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from wbc.gate.gate import Champion, Check, is_open, judge
from wbc.gate.params import GateParams
from wbc.tracking.connection import connect, find_experiment, one_at_a_time
from wbc.tracking.model import log_model
from wbc.tracking.record import CELLS, MODEL, read_locked_params
from wbc.tracking.runs import MODELS, agrees

NAME = "wbc"
CHALLENGER, CHAMPION = "challenger", "champion"
FORMER = "former_champions"  # tag of the registered model: the versions before the present champion, the latest last
ROLLED_BACK = "rolled_back_to"  # tag of a version that had to step down: the version that took over
MERITS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss", "expected_calibration_error")

_RESULTS = tuple(f"metrics/{name}" for name in ("train.json", "evaluation.json", "predictions.csv"))


@dataclass(frozen=True)
class Promotion:
    """What became of a model in the registry."""

    version: ModelVersion
    is_new: bool
    before: ModelVersion | None  # the champion when it challenged, or it itself
    checks: list[Check]


def promote(folder: Path, *, gate: GateParams, reinstate: bool = False) -> Promotion:
    """Register the model of the project in ``folder`` as challenger, and as champion if it passes the gate.

    The version is made from the MLflow run of that very model and its present results. A model that is registered keeps
    its version. The champion is judged too, and stays champion whatever comes of it: `roll_back` is for people. A
    version that was rolled back does not become champion again without ``reinstate``. Raises ValueError where model,
    results or run are absent, and MLflow's errors as they come.
    """
    client = connect()
    run = _find_run(client, folder)
    with one_at_a_time(), TemporaryDirectory() as copies:
        version, is_new = _find_or_register(client, run, folder=folder)
        before = _find_champion(client)
        champion = _fetch_champion(client, before, folder=Path(copies), challenger=version) if before else None
        checks = judge(folder / "metrics", data=folder / "data", gate=gate, champion=champion)
        if before is None or before.version != version.version:
            client.set_registered_model_alias(NAME, CHALLENGER, version.version)
            checks += [] if reinstate else _check_rollback(version)
            if is_open(checks):
                _hand_over(client, before=before, after=version)
    return Promotion(version, is_new, before, checks)


def _check_rollback(version: ModelVersion) -> list[Check]:
    if ROLLED_BACK not in version.tags:
        return []
    note = (
        f"it was rolled back to version {version.tags[ROLLED_BACK]}: `wbc promote --reinstate` lets it challenge again"
    )
    return [Check("rollback", "failed", note=note)]


def roll_back() -> tuple[ModelVersion, ModelVersion]:
    """Make the version champion again that was so before; return the one that stepped down and the one that is back.

    The one that stepped down stays back until `promote` is told to reinstate it. Raises ValueError where there is no
    champion, or none before it that still exists and was not rolled back itself.
    """
    client = connect()
    with one_at_a_time():
        champion = _find_champion(client)
        if champion is None:
            raise ValueError(f"{NAME} has no champion to roll back: `wbc promote` makes one")
        former = _read_former(client)
        while former:
            earlier = former.pop()
            if earlier != champion.version and earlier in _eligible(client):
                client.set_model_version_tag(NAME, champion.version, ROLLED_BACK, earlier)
                client.set_registered_model_alias(NAME, CHAMPION, earlier)
                client.set_registered_model_tag(NAME, FORMER, json.dumps(former))
                return champion, client.get_model_version(NAME, earlier)
    raise ValueError(f"version {champion.version} of {NAME} is the first champion: there is none to go back to")


def fetch_champion(folder: Path) -> Champion | None:
    """Return the champion and those before, with copies of their results below ``folder``; None without a champion.

    Raises MLflow's errors as they come.
    """
    client = connect()
    version = _find_champion(client)
    return _fetch_champion(client, version, folder=folder) if version else None


def _find_champion(client: MlflowClient) -> ModelVersion | None:
    """Return the version that bears the alias champion, None if none does."""
    registered = _find_registered(client)
    holder = registered.aliases.get(CHAMPION) if registered else None
    return client.get_model_version(NAME, holder) if holder else None


def _fetch_champion(
    client: MlflowClient, version: ModelVersion, *, folder: Path, challenger: ModelVersion | None = None
) -> Champion:
    """Return the champion ``version``, and as former ones those that were not rolled back, but the ``challenger``."""
    numbers = set(_read_former(client)) - {version.version, challenger.version if challenger else None}
    former = [each for number, each in _eligible(client).items() if number in numbers and each.run_id]
    champion = _fetch_results(client, version, folder=folder)
    return champion._replace(former=tuple(_fetch_results(client, each, folder=folder) for each in former))


def _fetch_results(client: MlflowClient, version: ModelVersion, *, folder: Path) -> Champion:
    if version.run_id is None:
        raise ValueError(f"version {version.version} of {NAME} has no run: give {CHAMPION} to one from `wbc promote`")
    destination = folder / str(version.version)
    destination.mkdir()
    results = client.download_artifacts(version.run_id, "metrics", str(destination))
    return Champion(f"version {version.version} of {NAME}", Path(results))


def _find_run(client: MlflowClient, folder: Path) -> Run:
    """Return the latest run of the model and results below ``folder``, found by their MD5, by dvc.lock's parameters."""
    conditions = ["tags.`published.evaluate` != ''"]
    for path in (MODEL, *_RESULTS):
        if not (folder / path).exists():
            raise ValueError(f"{path} does not exist: bring it back with `dvc checkout`, or make it with `dvc repro`")
        md5 = hashlib.md5((folder / path).read_bytes()).hexdigest()
        conditions.append(f"tags.`out.{path}` = '{md5}'")
    experiment = find_experiment(client, MODELS)
    found = client.search_runs([experiment], " and ".join(conditions)) if experiment else []
    params = read_locked_params(["train", "evaluate"])
    if run := next((run for run in found if agrees(run, params)), None):
        return run
    raise ValueError(
        "MLflow has no run of this model with these results and parameters: run `dvc repro`, then `wbc publish`"
    )


def _find_or_register(client: MlflowClient, run: Run, *, folder: Path) -> tuple[ModelVersion, bool]:
    """Return the version of the model of ``run``, and whether it was made just now."""
    md5 = run.data.tags[f"out.{MODEL}"]
    if _find_registered(client) is None:
        client.create_registered_model(NAME, description="White blood cells in blood smears. Not for diagnosis.")
    for version in _versions(client).values():
        if version.tags.get("model_md5") == md5:
            return version, False
    classes = json.loads(run.data.tags["classes"])
    model_id = _find_servable(run) or log_model(
        client, run.info.run_id, path=folder / MODEL, cells=folder / CELLS, classes=classes
    )
    listed = ", ".join(classes)
    made = client.create_model_version(
        NAME,
        source=f"models:/{model_id}",
        run_id=run.info.run_id,
        model_id=model_id,
        description=f"{run.data.params['model']}: uint8 RGB images in, probabilities of {listed} out, in this order. "
        "Resizing and normalisation are inside.",
        tags=_tags(run) | {"model_md5": md5, "classes": listed},
    )
    return client.get_model_version(NAME, made.version), True


def _find_servable(run: Run) -> str | None:
    """Return the model of ``run`` that was logged with an input example; None if there is none."""
    outputs = run.outputs.model_outputs if run.outputs else []
    for output in outputs:
        if mlflow.models.get_model_info(f"models:/{output.model_id}").saved_input_example_info:
            return output.model_id
    return None


def _tags(run: Run) -> dict[str, str]:
    """Return what a version tells of itself: the data by DVC's MD5, the code, the weights, the split and the merits."""
    tags = {name: value for name, value in run.data.tags.items() if name.startswith("dep.data/")}
    tags |= {"git_commit": run.data.tags["git_commit"], "model": run.data.params["model"]}
    tags |= {name: run.data.tags.get(name, "unknown") for name in ("weights_used", "test_split_strategy")}
    merits = {f"test_{name}": run.data.metrics.get(f"test_{name}") for name in MERITS}
    return tags | {name: f"{value:.6g}" for name, value in merits.items() if value is not None}


def _hand_over(client: MlflowClient, *, before: ModelVersion | None, after: ModelVersion) -> None:
    if ROLLED_BACK in after.tags:
        client.delete_model_version_tag(NAME, after.version, ROLLED_BACK)
    if before:
        client.set_registered_model_tag(NAME, FORMER, json.dumps([*_read_former(client), before.version]))
    client.set_registered_model_alias(NAME, CHAMPION, after.version)


def _read_former(client: MlflowClient) -> list[str]:
    registered = _find_registered(client)
    return json.loads(registered.tags.get(FORMER, "[]")) if registered else []


def _find_registered(client: MlflowClient) -> RegisteredModel | None:
    found = client.search_registered_models(f"name = '{NAME}'")
    return found[0] if found else None


def _versions(client: MlflowClient) -> Mapping[str, ModelVersion]:
    return {version.version: version for version in client.search_model_versions(f"name = '{NAME}'")}


def _eligible(client: MlflowClient) -> Mapping[str, ModelVersion]:
    """Return the versions that were not rolled back."""
    return {number: version for number, version in _versions(client).items() if ROLLED_BACK not in version.tags}
