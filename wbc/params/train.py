"""Parameters of training that all models share: `train` in params.yaml."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from wbc.params.base import Section


class TrainParams(Section):
    """Schedule, stopping and regularisation; warm_up and patience in epochs."""

    schedule: Literal["cosine", "constant"]
    warm_up: NonNegativeInt
    patience: PositiveInt | None
    label_smoothing: float = Field(ge=0, lt=1)
    class_weights: bool
    flips: bool
