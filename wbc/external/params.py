"""Parameters of the test on other sources: `external` in params.yaml, a list."""

from collections import Counter
from pathlib import Path

from pydantic import Field, RootModel, field_validator

from wbc.base.names import class_name
from wbc.base.params import PARAMS_FILE, Section, read_params, validate
from wbc.clean.params import Pixels
from wbc.sources.params import GroupsParams, SourceName


class ExternalParams(Section):
    """A source that the trained model is tested on and has learnt nothing from."""

    source: SourceName
    name: str | None = None  # in the results, in place of the source's
    window: Pixels | None = None  # in place of clean.window, for another magnification
    groups: GroupsParams | None = None  # patients or slides, as data.groups names them; DVC does not watch the file
    rename: dict[str, str] = Field(default_factory=dict)  # class of the source: class of the model

    @field_validator("rename")
    @classmethod
    def _upper_case(cls, names: dict[str, str]) -> dict[str, str]:
        return {class_name(theirs): class_name(ours) for theirs, ours in names.items()}

    @property
    def called(self) -> str:
        """What the results call it."""
        return self.name or self.source


class ExternalsParams(RootModel[tuple[ExternalParams, ...]]):
    """All of them, each called differently."""

    @field_validator("root")
    @classmethod
    def _are_called_differently(cls, externals: tuple[ExternalParams, ...]) -> tuple[ExternalParams, ...]:
        called = Counter(one.called for one in externals)
        if twice := [name for name, count in called.items() if count > 1]:
            raise ValueError(f"{twice[0]} is there more than once: give each a `name` of its own, for the results")
        return externals


def read_externals(path: Path = PARAMS_FILE) -> tuple[ExternalParams, ...]:
    """Return the section `external` of params.yaml. Raises ParamsError."""
    return validate(ExternalsParams, read_params(path)["external"], where="external").root
