"""What DVC knows of an execution of a stage: the side of tracking that needs no MLflow."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dvc.dependency.param import ParamsDependency
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.utils.flatten import flatten
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

if TYPE_CHECKING:
    pass


MODEL = "models/model.keras"
CELLS = "data/cells.npy"


MODEL_STAGES = ("train", "evaluate", "explain")  # they share one run for each model, the row that people sort


@dataclass(frozen=True)
class Record:
    """What one execution of a stage read and wrote: MD5 by path, and the parameters of it and of the stages before."""

    stage: str
    outs: dict[str, str]
    dependencies: dict[str, str]
    inputs: dict[str, str]  # those dependencies that other stages made
    params: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """One MD5 of all paths and contents."""
        return hashlib.md5(json.dumps([self.stage, self.outs, self.dependencies]).encode()).hexdigest()

    @property
    def identity(self) -> tuple[str, str]:
        """The tag and the value that the run must have: the model's MD5, or the fingerprint of a data stage."""
        if self.stage in MODEL_STAGES:
            return f"out.{MODEL}", (self.outs | self.dependencies)[MODEL]
        return "fingerprint", self.fingerprint


def stages_up_to(name: str) -> Sequence[str]:
    """Return the stages whose files the run of the stage ``name`` shows by then, in their order."""
    return MODEL_STAGES[: MODEL_STAGES.index(name) + 1] if name in MODEL_STAGES else [name]


def pipeline_stages(repo: Repo) -> dict[str, PipelineStage]:
    return {stage.name: stage for stage in repo.index.stages if isinstance(stage, PipelineStage)}


def producers_of(stages: Mapping[str, PipelineStage]) -> dict[str, Output]:
    """Return the out at each path that one of ``stages`` makes."""
    return {out.def_path: out for stage in stages.values() for out in stage.outs}


def read_locked(files: Sequence[str]) -> dict[str, str]:
    """Return the MD5 that dvc.lock has for each of ``files``, which are dependencies of ``train``."""
    locked = _read_dependencies()
    return {path: locked[path] for path in files}


def list_code() -> list[str]:
    """Return the code that ``train`` depends on: its own file and rooms of wbc/."""
    return [path for path in _read_dependencies() if path.startswith(("stages/", "wbc/"))]


def _read_dependencies() -> dict[str, str]:
    """Return the MD5 in dvc.lock of each dependency of ``train``."""
    with Repo() as repo:
        [train] = (stage for stage in repo.index.stages if stage.addressing == "train")
        return {item.def_path: item.hash_info.value for item in train.deps}


def read_locked_params(names: Sequence[str]) -> dict[str, str]:
    """Return the parameters that dvc.lock has of the stages ``names`` and of those before, as MLflow shows them."""
    with Repo() as repo:
        stages = pipeline_stages(repo)
        producers = producers_of(stages)
        return unite_params([read_record(stages[name], producers=producers) for name in names])


def name_params(record: Record) -> dict[str, str]:
    """Return the parameters of ``record`` as MLflow shows them: those of any model's block begin with ``model.``."""
    block = f"models.{record.params.get('model')}."  # named alike for all models, so that they share columns
    named = {key.replace(block, "model."): as_text(value) for key, value in record.params.items()}
    return {key: value[:MAX_PARAM_VAL_LENGTH] for key, value in named.items()}  # MLflow keeps no more


def unite_params(records: Sequence[Record]) -> dict[str, str]:
    """Return the parameters of all ``records``, the first one's value where they differ (`dvc repro --single-item`)."""
    return {name: value for record in reversed(records) for name, value in name_params(record).items()}


def read_record(stage: PipelineStage, *, producers: Mapping[str, Output], from_files: bool = False) -> Record:
    """Return a stage's hashes and parameters from the working directory or from dvc.lock; ``producers``: outs by path.

    The stages that made the inputs add their parameters, unless they have made something else since.
    """

    def value(item: Output) -> Any:
        return (item.get_hash() if from_files else item.hash_info).value

    files = {item.def_path: value(item) for item in stage.deps if not isinstance(item, ParamsDependency)}
    inputs = {path: md5 for path, md5 in files.items() if path in producers}
    params: dict[str, Any] = {}
    for maker in {producers[path].stage for path, md5 in inputs.items() if producers[path].hash_info.value == md5}:
        params |= read_record(maker, producers=producers, from_files=False).params
    for item in stage.deps:
        if isinstance(item, ParamsDependency):
            params |= flatten(value(item) or {})  # dvc.lock has none of a stage that never ran
    outs = {out.def_path: value(out) for out in stage.outs}
    return Record(stage=stage.name, outs=outs, dependencies=files, inputs=inputs, params=params)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
