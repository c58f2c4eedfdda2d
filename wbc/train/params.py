"""Parameters of training that all models share: `train` in params.yaml."""

from typing import Literal

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt, model_validator

from wbc.base.params import Section


class TrainParams(Section):
    """Phases, schedule, stopping and regularisation; warm_up and patience in epochs."""

    networks: PositiveInt  # whose probabilities are averaged
    views: Literal[1, 4, 8]  # orientations of each image whose probabilities the trained model averages
    probe_epochs: NonNegativeInt  # in which the head learns alone
    probe_learning_rate: FiniteFloat = Field(gt=0)
    schedule: Literal["cosine", "constant"]
    warm_up: NonNegativeInt
    patience: PositiveInt | None
    loss: Literal["cross_entropy", "focal", "generalised_cross_entropy"]
    label_smoothing: float = Field(ge=0, lt=1)
    class_weights: bool
    mixup: FiniteFloat = Field(ge=0)  # both parameters of the beta distribution; 0 is none
    averaging: float = Field(ge=0, lt=1)  # share of the running mean of the weights that a step keeps; 0: no mean
    accumulate: PositiveInt  # batches
    flips: bool
    mixed_precision: bool
    temperature: bool  # fitted on the validation part after training
    tensorboard: bool

    @model_validator(mode="after")
    def _makes_sense(self) -> "TrainParams":
        if self.mixup and self.class_weights:
            raise ValueError("class_weights need images of one class, mixup blends two: use one of them")
        if self.mixup and self.probe_epochs:
            raise ValueError(
                "probe_epochs learn from features that are kept, mixup blends images anew: use one of them"
            )
        return self
