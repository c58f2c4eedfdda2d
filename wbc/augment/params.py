"""Parameters of augmentation and balancing: `augment` in params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from wbc.base.params import Section

Share = Annotated[float, Field(ge=0, lt=1)]


class AugmentParams(Section):
    """How many random views are made, how far they stray, and how classes are balanced."""

    target_per_class: PositiveInt | None
    copies: NonNegativeInt | None
    rotation: float = Field(ge=0, le=180)
    shift: Share
    shear: float = Field(ge=0, lt=1.5)
    scale: Share
    flips: bool
    brightness: Share
    colour: Share
    stain: Share
    order: Literal["views_first", "balance_first"]
    balance: Literal["smote", "borderline_smote", "svm_smote", "repeat", "none"]
    space: Literal["pixels", "pca"]
    neighbours: PositiveInt

    @model_validator(mode="after")
    def _knows_when_to_stop(self) -> "AugmentParams":
        if self.target_per_class is None and self.copies is None:
            raise ValueError("set target_per_class, copies or both: with neither there is no end to the views")
        if self.balance == "svm_smote" and self.space == "pixels":
            raise ValueError(
                "svm_smote learns a support vector machine, for which pixels are too many: set space to pca"
            )
        return self
