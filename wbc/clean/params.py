"""Parameters of cleaning: `clean` in params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from wbc.base.names import class_name
from wbc.base.params import Section

Pixels = Annotated[int, Field(ge=16, le=4096)]
Share = Annotated[float, Field(ge=0, le=1)]


class CleanParams(Section):
    """What is dropped and how cells are cut out; lengths in pixels."""

    exclude: tuple[str, ...]
    thin: dict[str, Share]
    crop: Literal["cell", "whole"]
    window: Pixels
    size: tuple[Pixels, Pixels]
    greyscale: bool
    twins: bool
    contradictions: Literal["drop", "keep"]

    @field_validator("exclude")
    @classmethod
    def _upper_case(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(class_name, names))

    @field_validator("thin")
    @classmethod
    def _upper_case_keys(cls, shares: dict[str, float]) -> dict[str, float]:
        return {class_name(name): share for name, share in shares.items()}
