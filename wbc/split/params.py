"""Parameters of the split: `split` in params.yaml."""

from typing import Literal

from pydantic import Field, NonNegativeInt, model_validator

from wbc.base.params import Section

USUAL_FOLDS = 5  # of params.yaml, with which `-S split.strategy=predefined` alone is enough


class SplitParams(Section):
    """How images are divided: by shares of all images, or into k folds of which one is the test part.

    An official split has neither ``test`` nor ``fold``; ``folds`` may stay as params.yaml has it.
    """

    strategy: Literal["grouped", "random", "blocks", "predefined", "leaky"]
    validation: float = Field(gt=0, lt=1)
    test: float | None = Field(gt=0, lt=1)  # None with folds and with an official split
    folds: int | None = Field(ge=2, le=100)
    fold: NonNegativeInt

    @model_validator(mode="after")
    def _says_once_what_is_tested(self) -> "SplitParams":
        if self.strategy == "predefined":
            if self.fold or self.folds not in (None, USUAL_FOLDS):
                raise ValueError(
                    f"an official split has no folds: set fold to 0 and folds to {USUAL_FOLDS} or null, "
                    "or take another strategy"
                )
            if self.test is not None:
                raise ValueError(
                    f"test: {self.test:g} is void, an official split has its own: set test to null, or take another "
                    "strategy"
                )
        elif self.folds is None and self.fold:
            raise ValueError(f"fold: {self.fold} is void without folds: set folds, or fold to 0")
        elif self.folds is None and self.test is None:
            raise ValueError("there is no test part: set test, the share of all images, or folds")
        elif self.folds is not None and self.test is not None:
            raise ValueError(
                f"test: {self.test:g} is void, folds: {self.folds} make it 1/{self.folds}: set folds or test to null"
            )
        return self

    @model_validator(mode="after")
    def _leaves_a_training_part(self) -> "SplitParams":
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} does not exist: with folds: {self.folds} the last is {self.folds - 1}")
        if self.strategy != "predefined" and self.validation + self.test_share >= 1:
            raise ValueError("validation and test together leave nothing for training")
        return self

    @property
    def test_share(self) -> float:
        """Share of all images in the test part; ValueError for an official one, whose share only its source knows."""
        share = 1 / self.folds if self.folds is not None else self.test
        if share is None:
            raise ValueError("only the source knows the share of an official test part")
        return share
