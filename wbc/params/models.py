"""Parameters of the models: one block under `models` in params.yaml for each name that `model` may take."""

from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, PositiveInt, model_validator

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


class ScratchParams(ModelParams):
    """A network that trains as a whole and for which no weights exist."""

    weights: Literal["random"]

    @model_validator(mode="before")
    @classmethod
    def _refuse_choices_about_a_backbone(cls, value: Any) -> Any:
        for key in ("head", "trainable"):
            if isinstance(value, dict) and key in value:
                raise ValueError(f"{key} cannot be chosen: this network has no backbone, it is trained as a whole")
        return value


class CompactCnnParams(ScratchParams):
    """Its unpadded convolutions leave nothing of less than 38 pixels."""

    input: tuple[Annotated[int, Field(ge=38)], Annotated[int, Field(ge=38)]]


class AlexNetParams(ScratchParams):
    """Its strides leave nothing of less than 67 pixels."""

    input: tuple[Annotated[int, Field(ge=67)], Annotated[int, Field(ge=67)]]


class ModelsParams(Section):
    """One block for each model."""

    efficientnet_lite0: ModelParams
    compact_cnn: CompactCnnParams
    leaky_cnn: ScratchParams
    alexnet: AlexNetParams


MODEL_NAMES = tuple(ModelsParams.model_fields)
