"""Parameters of the models: one block under `models` in params.yaml for each name that `model` may take."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import Field, FiniteFloat, PositiveInt, field_validator, model_validator

from wbc.base.params import PARAMS_FILE, Section, read_section


class ModelParams(Section):
    """What the network is and how it is trained."""

    input: tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]]  # height and width in pixels
    weights: str  # what training starts from
    dropout: float = Field(ge=0, lt=1)  # share of units
    l2: FiniteFloat = Field(ge=0)  # factor of the summed squares of a kernel in the loss
    optimizer: Literal["adam", "adamw", "nadam", "rmsprop", "sgd"]
    learning_rate: FiniteFloat = Field(gt=0)  # after the warm-up
    batch_size: PositiveInt  # images
    epochs: PositiveInt  # at most


class BackboneParams(ModelParams):
    """A backbone, for which weights exist, under a head."""

    weights: str
    head: Literal["pooled", "flatten_dense", "linear"]
    trainable: Annotated[str, Field(pattern=r"^(none|all|last [1-9]\d*|only batch norm|all but batch norm)$")]

    @field_validator("weights")
    @classmethod
    def _require_source(cls, value: str) -> str:
        if value not in ("auto", "imagenet", "random") and not re.fullmatch(r".+\.h5#sha256=[0-9a-f]{64}", value):
            raise ValueError(
                "must be auto, imagenet, random, or the path or URL of an .h5 file followed by #sha256= and its SHA-256"
            )
        return value

    @model_validator(mode="after")
    def _require_sense(self) -> "BackboneParams":
        if self.weights == "random" and self.trainable != "all":
            raise ValueError(
                f"trainable: {self.trainable} would leave random weights as they are: set it to all, or weights to auto"
            )
        if self.head == "linear" and self.dropout > 0:
            raise ValueError("head: linear has no dropout: set dropout to 0, or head to pooled")
        return self


class PlainBackboneParams(BackboneParams):
    """A backbone without batch normalisation."""

    @field_validator("trainable")
    @classmethod
    def _refuse_batch_norm(cls, value: str) -> str:
        if "batch norm" in value:
            raise ValueError("this network has no batch normalisation: set it to none, all or last N")
        return value


class InceptionParams(BackboneParams):
    """Its strides leave nothing of less than 75 pixels."""

    input: tuple[Annotated[int, Field(ge=75)], Annotated[int, Field(ge=75)]]


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


class CustomParams(ModelParams):
    """A network of the user's own, from the function ``build`` of a module, with ``options`` that only it reads."""

    build: Annotated[str, Field(pattern=r"^\w+(\.\w+)*:\w+$")]
    options: dict[str, Any]
    weights: Literal["as built"]


class ModelsParams(Section):
    """One block for each model."""

    efficientnet_lite0: BackboneParams
    efficientnet_lite1: BackboneParams
    efficientnet_lite2: BackboneParams
    vgg16: PlainBackboneParams
    resnet50: BackboneParams
    resnet152: BackboneParams
    inceptionv3: InceptionParams
    efficientnetb0: BackboneParams
    efficientnetv2b0: BackboneParams
    mobilenetv3: BackboneParams
    convnext_tiny: PlainBackboneParams
    compact_cnn: CompactCnnParams
    leaky_cnn: ScratchParams
    alexnet: AlexNetParams
    custom: CustomParams


MODEL_NAMES = tuple(ModelsParams.model_fields)


def read_model(name: str, path: Path = PARAMS_FILE) -> ModelParams:
    """Return the block of the model ``name`` in params.yaml. Raises ParamsError."""
    schemas: dict[str, type[ModelParams]] = get_type_hints(ModelsParams)
    return read_section(schemas.get(name, ModelParams), "models", name, path=path)
