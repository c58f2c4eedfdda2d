"""The whole of params.yaml: every section, and what must fit between sections."""

import os
from difflib import get_close_matches
from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt

from wbc.augment.params import AugmentParams
from wbc.base.names import describe_unknown, describe_unknown_excluded
from wbc.base.params import PARAMS_FILE, ParamsError, Section, read_params, validate
from wbc.check.paths import local_paths, require_apart
from wbc.check.void import find_void
from wbc.clean.params import CleanParams
from wbc.evaluate.params import EvaluateParams
from wbc.external.params import ExternalParams, ExternalsParams
from wbc.gate.params import EVERY, GateParams
from wbc.models.params import MODEL_NAMES, BackboneParams, ModelParams, ModelsParams
from wbc.sources.params import DataParams, SourcesParams
from wbc.split.params import SplitParams
from wbc.train.params import TrainParams


class Params(Section):
    """All sections of params.yaml."""

    seed: NonNegativeInt
    threads: PositiveInt
    model: str
    data: DataParams
    sources: SourcesParams
    clean: CleanParams
    split: SplitParams
    augment: AugmentParams
    train: TrainParams
    evaluate: EvaluateParams
    external: ExternalsParams
    gate: GateParams
    models: ModelsParams


def check_params(path: Path = PARAMS_FILE) -> Params:
    """Return the valid params.yaml; raise ParamsError with one line per fault, names with their nearest match."""
    content = read_params(path)
    _require_name("model", content.get("model"), choices=MODEL_NAMES)
    data = content.get("data")
    if isinstance(data, dict):
        _require_name("data.source", data.get("source"), choices=tuple(SourcesParams.model_fields))
    params = validate(Params, content)
    _require_fit(params)
    if (dvc_file := path.with_name("dvc.yaml")).exists():
        require_apart(_owned_paths(params), dvc_file=dvc_file)
    if params.model == "custom":
        _require_dependency(params.models.custom.build.partition(":")[0], dvc_file=path.with_name("dvc.yaml"))
    return params


def _owned_paths(params: Params) -> dict[str, str]:
    """Return every path of the user's by what names it, also of sources and models that are not chosen."""
    models = {name: getattr(params.models, name) for name in MODEL_NAMES}
    own = {name: model.weights.partition("#sha256=") for name, model in models.items()}
    keras_home = os.environ.get("KERAS_HOME")
    return local_paths(
        {
            "params.yaml: sources.folders.path": params.sources.folders.path,
            "params.yaml: sources.npz.path": params.sources.npz.path,
            "params.yaml: data.groups.file": params.data.groups and params.data.groups.file,
            **{
                f"params.yaml: external: {one.called}: groups.file": one.groups and one.groups.file
                for one in params.external.root
            },
            **{f"params.yaml: models.{name}.weights": path for name, (path, mark, _) in own.items() if mark},
            "params.yaml: models.custom.build": f"{params.models.custom.build.partition(':')[0].replace('.', '/')}.py",
            "WBC_MIRROR": os.environ.get("WBC_MIRROR"),
            "KERAS_HOME": keras_home and str(Path(keras_home) / "models"),
        }
    )


def _require_name(key: str, value: object, *, choices: tuple[str, ...]) -> None:
    if value not in choices:
        by_letters = {choice.casefold(): choice for choice in choices}
        nearest = by_letters[get_close_matches(str(value).casefold(), by_letters, n=1, cutoff=0.0)[0]]
        raise ParamsError(f"params.yaml: {key}: no {value!r}; there are {', '.join(choices)}; nearest: {nearest}")


def _require_fit(params: Params) -> None:
    """Raise ParamsError where two sections contradict each other."""
    if params.data.source == "folders" and params.sources.folders.path is None:
        raise ParamsError("params.yaml: sources.folders.path: name the folder, zip, tar or URL of your images")
    epochs = getattr(params.models, params.model).epochs
    if params.train.warm_up >= epochs:
        raise ParamsError(
            f"params.yaml: train.warm_up: {params.train.warm_up} epochs of warm-up leave nothing of "
            f"models.{params.model}.epochs: {epochs}"
        )
    if params.train.probe_epochs:
        _require_probe(getattr(params.models, params.model), name=params.model)
    if params.train.views > 4 and params.clean.size[0] != params.clean.size[1]:
        raise ParamsError(f"params.yaml: train.views: {params.train.views} need square images, see clean.size")
    for external in params.external.root:
        _require_external(external, params=params)
    if params.split.strategy == "leaky" and params.augment.order != "views_first":
        raise ParamsError(
            "params.yaml: split.strategy: leaky draws views before it splits: set augment.order to views_first"
        )
    gated = set(params.gate.per_class) & set(params.clean.exclude)
    if gated:
        raise ParamsError(f"params.yaml: gate.per_class: {', '.join(sorted(gated))} is dropped by clean.exclude")
    if (classes := params.sources.classes(params.data.source)) is not None:
        _require_classes(params, classes=classes)
    if void := [f"params.yaml: {sentence}" for sentence in find_void(params)]:
        raise ParamsError("\n".join(void))


def _require_classes(params: Params, *, classes: set[str]) -> None:
    """Raise ParamsError where a section names a class that is none of ``classes``, those of the chosen source."""
    gated = params.gate.per_class.keys() - {EVERY}  # what has no class of its own is judged as EVERY
    faults = {
        "clean.exclude": describe_unknown_excluded(params.clean.exclude, classes=classes),
        "clean.thin": describe_unknown(params.clean.thin, classes=classes),
        "gate.per_class": describe_unknown(
            gated, classes=classes, optional=gated if EVERY in params.gate.per_class else ()
        ),
    }
    lines = [f"params.yaml: {key}: {params.data.source} has {fault}" for key, fault in faults.items() if fault]
    if lines:
        raise ParamsError("\n".join(lines))


def _require_external(external: ExternalParams, *, params: Params) -> None:
    """Raise ParamsError where the model knows ``external`` already or one of its settings would change nothing."""
    theirs, ours = params.sources.classes(external.source), params.sources.classes(params.data.source)
    if external.source == params.data.source:
        fault: str | None = f"{external.source} is what the model is trained on"
    elif {external.source, params.data.source} == {"bccd", "blood_cells"}:
        fault = (
            f"{external.source} shows what {params.data.source} does, which the model is trained on: "
            "blood_cells are altered copies of bccd's photographs"
        )
    elif external.window is not None and params.clean.crop == "whole":
        fault = f"window: {external.window} is void with clean.crop: whole, for no window is cut out: leave it out"
    else:
        faults = (
            None if known is None else describe_unknown(named, classes=known)
            for named, known in ((external.rename, theirs), (external.rename.values(), ours))
        )
        fault = next(filter(None, faults), None)
        fault = fault and f"rename: {fault}"
    if fault:
        raise ParamsError(f"params.yaml: external: {fault}")


def _require_probe(model: ModelParams, *, name: str) -> None:
    """Raise ParamsError where a head that learns first makes no sense."""
    if not isinstance(model, BackboneParams):
        reason = f"{name} has no backbone with a head of its own"
    elif model.trainable == "none":
        reason = f"nothing is to follow, models.{name}.trainable is none: raise models.{name}.epochs instead"
    elif model.weights == "random":
        reason = f"models.{name}.weights: random has nothing to probe"
    else:
        return
    raise ParamsError(f"params.yaml: train.probe_epochs: {reason}; set it to 0")


def _require_dependency(module: str, *, dvc_file: Path) -> None:
    """Raise ParamsError where an edit of ``module``, a file of the project, would not make ``train`` run again."""
    file = Path(f"{module.replace('.', '/')}.py")
    watched = {Path(dep) for dep in read_params(dvc_file)["stages"]["train"]["deps"]}
    if (dvc_file.parent / file).exists() and watched.isdisjoint({file, *file.parents}):
        raise ParamsError(
            f"params.yaml: models.custom.build: DVC would not notice an edit of {file}: add it to the deps of train in "
            f"{dvc_file.name}"
        )
