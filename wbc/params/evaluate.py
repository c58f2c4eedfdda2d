"""Parameters of the evaluation: `evaluate` in params.yaml."""

from pydantic import Field, field_validator

from wbc.names import class_name
from wbc.params.base import Section
from wbc.params.clean import Pixels
from wbc.params.sources import SourceName


class ExternalParams(Section):
    """A source that the trained model is tested on and has learnt nothing from."""

    source: SourceName
    window: Pixels | None = None  # in place of clean.window, for another magnification
    rename: dict[str, str] = Field(default_factory=dict)  # class of the source: class of the model

    @field_validator("rename")
    @classmethod
    def _upper_case(cls, names: dict[str, str]) -> dict[str, str]:
        return {class_name(theirs): class_name(ours) for theirs, ours in names.items()}


class EvaluateParams(Section):
    """How the test part is looked at, and what else the model is tested on."""

    wished_error: float | None = Field(ge=0, lt=1)  # of the predictions that need no review; None: no review
    external: tuple[ExternalParams, ...]

    @field_validator("external")
    @classmethod
    def _once_each(cls, externals: tuple[ExternalParams, ...]) -> tuple[ExternalParams, ...]:
        names = [external.source for external in externals]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(repeated)} is named twice, and only the last would count: name it once")
        return externals
