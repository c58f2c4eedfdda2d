"""Parameters of the models: one block under `models` in params.yaml for each name that `model` may take."""

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, PositiveInt

from wbc.params.base import Section


class ModelParams(Section):
    """What the network is and how it is trained."""

    input: tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]]  # height and width in pixels
    weights: Literal["imagenet", "random"]  # what training starts from
    dropout: float = Field(ge=0, lt=1)  # share of units
    l2: FiniteFloat = Field(ge=0)  # factor of the summed squares of a kernel in the loss
    optimizer: Literal["adam", "adamw", "nadam", "rmsprop", "sgd"]
    learning_rate: FiniteFloat = Field(gt=0)  # after the warm-up
    batch_size: PositiveInt  # images
    epochs: PositiveInt  # at most


class CompactCnnParams(ModelParams):
    """No weights exist for it, and its unpadded convolutions leave nothing of less than 38 pixels."""

    input: tuple[Annotated[int, Field(ge=38)], Annotated[int, Field(ge=38)]]
    weights: Literal["random"]


class ModelsParams(Section):
    """One block for each model."""

    efficientnet_lite0: ModelParams
    compact_cnn: CompactCnnParams


MODEL_NAMES = tuple(ModelsParams.model_fields)
