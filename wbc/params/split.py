"""Parameters of the split: `split` in params.yaml."""

from typing import Literal

from pydantic import Field, NonNegativeInt, model_validator

from wbc.params.base import Section


class SplitParams(Section):
    """How images are divided: by shares of all images, or into k folds of which one is the test part."""

    strategy: Literal["grouped", "random", "blocks", "predefined", "leaky"]
    validation: float = Field(gt=0, lt=1)
    test: float = Field(gt=0, lt=1)
    folds: int | None = Field(ge=2, le=100)
    fold: NonNegativeInt

    @model_validator(mode="after")
    def _leaves_a_training_part(self) -> "SplitParams":
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} does not exist: with folds: {self.folds} the last is {self.folds - 1}")
        if self.fold and self.strategy == "predefined":
            raise ValueError("an official split has no folds: set fold to 0 or take another strategy")
        if self.validation + self.test_share >= 1:
            raise ValueError("validation and test together leave nothing for training")
        return self

    @property
    def test_share(self) -> float:
        """Share of all images in the test part."""
        return self.test if self.folds is None else 1 / self.folds
