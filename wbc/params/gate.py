"""Parameters of `wbc gate`: `gate` in params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from wbc.params.base import Section

OverallMetric = Literal["accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "kappa", "auroc"]
ClassMetric = Literal["precision", "sensitivity", "specificity", "f1", "auroc"]
Threshold = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]


class GateParams(Section):
    """The least value that each metric of the test part must reach, overall and for each class by name.

    ``allow_random_weights`` lets a model pass that was to start from pretrained weights and did not.
    """

    allow_random_weights: bool
    overall: dict[OverallMetric, Threshold]
    per_class: dict[str, dict[ClassMetric, Threshold]]
