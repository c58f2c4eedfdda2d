"""Tells by dvc.lock whether results are those of the parameters and of the model beside them.

A stage that an experiment leaves out keeps in git what another run has made: its files alone do not say so.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from dvc.utils.flatten import flatten
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wbc.base.params import PARAMS_FILE, read_params

METRICS = Path("metrics")
LOCK = Path("dvc.lock")
_CHECK = "check"  # reads all of params.yaml, also what no result depends on, and makes a constant

Stages = Mapping[str, Mapping[str, Any]]  # what dvc.lock has of each


class StaleResultsError(ValueError):
    """The results are not those of the parameters beside them; the message says why."""


def read_stages(lock: Path = LOCK) -> dict[str, dict[str, Any]]:
    """Return the stages of a dvc.lock by name. Raises ValueError for a file that names none."""
    try:
        content = YAML(typ="safe").load(lock.read_text())
    except YAMLError as error:
        raise ValueError(f"{lock} is not valid YAML: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
        raise ValueError(f"{lock} names no stages: make it anew with `dvc repro`")
    return content["stages"]


def explain_staleness(folder: Path = METRICS, *, home: Path = Path(), stage: str = "evaluate") -> str:
    """Return why the results in ``folder`` are not those of ``stage`` with the present parameters; "" where they are.

    ``folder`` is metrics/ or a copy of it, ``home`` where its params.yaml and dvc.lock lie. By dvc.lock, the stage and
    those before it must have run with these parameters, each on what the one before it made, and the files in
    ``folder`` must be the very ones that they made. What is absent there is no reason. Code is not compared.
    Raises ValueError for a params.yaml or dvc.lock that is unusable.
    """
    if not (home / LOCK).exists():
        return f"there is no {LOCK} to say what they are of"
    stages = read_stages(home / LOCK)
    if stage not in stages:
        return f"{stage} has not run"
    return _find_fault(stage, stages=stages, params=read_params(home / PARAMS_FILE), folder=folder)


def list_stale(folder: Path = METRICS, *, home: Path = Path()) -> frozenset[str]:
    """Return the stages of dvc.lock whose results in ``folder`` do not count, see `explain_staleness`."""
    stages, params = read_stages(home / LOCK), read_params(home / PARAMS_FILE)
    return frozenset(stage for stage in stages if _find_fault(stage, stages=stages, params=params, folder=folder))


def require_current(
    folder: Path = METRICS, *, home: Path = Path(), stages: Sequence[str] = ("evaluate",), name: str = ""
) -> None:
    """Raise StaleResultsError unless ``folder`` holds the results of each of ``stages``, see `explain_staleness`.

    ``name`` is what people call the run where it is not the one of the working directory.
    """
    for stage in stages:
        if fault := explain_staleness(folder, home=home, stage=stage):
            remedy = "" if name else f": make them with `dvc repro {stage}`"
            raise StaleResultsError(f"{name or folder} has no results of its own parameters: {fault}{remedy}")


def name_model(home: Path = Path()) -> str:
    """Return the model of dvc.lock in ``home`` as MLflow names its run: its kind and the first of its MD5.

    Raises ValueError where no model was trained.
    """
    stages = read_stages(home / LOCK)
    if "train" not in stages:
        raise ValueError(f"{home / LOCK} knows of no model: train one with `dvc repro`")
    digests = {out["path"]: out["md5"] for out in stages["train"]["outs"]}
    return f"{read_params(home / PARAMS_FILE)['model']}-{digests['models/model.keras'][:7]}"


def _find_fault(stage: str, *, stages: Stages, params: Mapping[str, Any], folder: Path) -> str:
    """Return the first reason why the results of a stage do not count, "" where they do."""
    makers = {out["path"]: name for name, content in stages.items() for out in content.get("outs", [])}
    faults = (
        fault
        for name in _trace(stage, stages=stages, makers=makers)
        for fault in (
            *_compare_params(name, stages[name], params=params),
            *_compare_inputs(name, stages=stages, makers=makers),
            *_compare_files(name, stages[name], folder=folder),
        )
    )
    return next(faults, "")


def _trace(stage: str, *, stages: Stages, makers: Mapping[str, str]) -> Iterator[str]:
    """Yield ``stage``, those that made what it read, and so on, each once."""
    waiting, seen = [stage], {_CHECK}
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen.add(name)
            yield name
            waiting += [makers[item["path"]] for item in stages[name].get("deps", []) if item["path"] in makers]


def _compare_params(name: str, content: Mapping[str, Any], *, params: Mapping[str, Any]) -> Iterator[str]:
    """Yield those parameters that the stage ran with and that are others in ``params``."""
    recorded = content.get("params", {}).get(PARAMS_FILE.name, {})
    ran, present = flatten(recorded), flatten(params)
    read = [key for key in present if any(f"{key}.".startswith(f"{section}.") for section in recorded)]
    for key in dict.fromkeys([*ran, *read]):
        if ran.get(key) != present.get(key):
            yield f"{name} ran with {key}={ran.get(key)}, {PARAMS_FILE} has {present.get(key)}"


def _compare_inputs(name: str, *, stages: Stages, makers: Mapping[str, str]) -> Iterator[str]:
    """Yield those files that the stage read and that an earlier one has made anew since."""
    made = {out["path"]: out["md5"] for content in stages.values() for out in content.get("outs", [])}
    for item in stages[name].get("deps", []):
        if made.get(item["path"], item["md5"]) != item["md5"]:
            yield f"{name} has not run on the {item['path']} that {makers[item['path']]} made"


def _compare_files(name: str, content: Mapping[str, Any], *, folder: Path) -> Iterator[str]:
    """Yield those files in ``folder`` that are others than the stage made."""
    for out in content.get("outs", []):
        path = PurePosixPath(out["path"])
        copy = folder / path.relative_to(METRICS) if path.is_relative_to(METRICS) else None
        if copy and copy.is_file() and hashlib.md5(copy.read_bytes()).hexdigest() != out["md5"]:
            yield f"{path} is not the one that {name} made"
