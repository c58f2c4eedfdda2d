"""Parameters of `wbc gate`: `gate` in params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from wbc.base.names import class_name
from wbc.base.params import Section

OverallMetric = Literal["accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "kappa", "auroc"]
ClassMetric = Literal["precision", "sensitivity", "specificity", "f1", "auroc"]
CalibrationMetric = Literal["expected_calibration_error", "brier_score", "log_loss"]
EVERY = "every"  # in place of a class: each one that is not named; no class is written in lower case
Floor = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Ceiling = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class AgainstParams(Section):
    """By how much a model may be below the champion in ``metric``, both measured on the same test images.

    The difference itself is judged (``judge: difference``), and one whose whole 95 % interval is below 0 fails however
    small it is; or the lower end of that interval (``judge: interval``), which is non-inferiority as trials test it
    (CONSORT extension, Piaggio et al. 2012) and takes some hundred test images.
    """

    metric: OverallMetric
    margin: float = Field(ge=0, le=1, allow_inf_nan=False)
    judge: Literal["difference", "interval"]


class GateParams(Section):
    """What a model's results on the test part must fulfil.

    ``overall`` and ``per_class`` hold the least values, ``calibration`` the greatest. Those of EVERY hold for each
    class but where it is named with others. The three ``allow_`` let a model pass that was to start from pretrained
    weights and did not, that was split without regard to groups, or that was tested on other images than the champion.
    Nothing lets a leaky split pass.
    """

    allow_random_weights: bool
    allow_random_split: bool
    allow_other_images: bool
    overall: dict[OverallMetric, Floor]
    per_class: dict[str, dict[ClassMetric, Floor]]
    calibration: dict[CalibrationMetric, Ceiling]
    against: AgainstParams

    @field_validator("per_class")
    @classmethod
    def _upper_case(cls, rules: dict[str, dict[ClassMetric, float]]) -> dict[str, dict[ClassMetric, float]]:
        return {name if name == EVERY else class_name(name): floors for name, floors in rules.items()}
