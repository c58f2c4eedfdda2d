"""Parameters of the image sources: `data` and `sources` in params.yaml."""

from typing import Literal

from pydantic import Field, NonNegativeInt, model_validator

from wbc.params.base import Section

MORPHOLOGIES = (
    "NEUTROPHIL",
    "EOSINOPHIL",
    "LYMPHOCYTE",
    "MONOCYTE",
    "BASOPHIL",
    "BAND",
    "METAMYELOCYTE",
    "MYELOCYTE",
    "BLAST",
)


class DataParams(Section):
    """Which source the images come from."""

    source: Literal["bccd", "smears"]


class BccdParams(Section):
    """The pinned commits of BCCD's images and of its class labels."""

    commit: str = Field(pattern="^[0-9a-f]{40}$")
    labels_commit: str = Field(pattern="^[0-9a-f]{40}$")


class SmearsParams(Section):
    """How many generated smears of which kind; sizes in pixels."""

    seed: NonNegativeInt
    width: int = Field(ge=160, le=4096)
    height: int = Field(ge=160, le=4096)
    counts: dict[str, NonNegativeInt]
    multi_cell: NonNegativeInt
    twins: NonNegativeInt
    unlabelled: NonNegativeInt
    missing: NonNegativeInt
    corrupt: NonNegativeInt
    duplicates: NonNegativeInt

    @model_validator(mode="after")
    def _can_be_drawn(self) -> "SmearsParams":
        unknown = sorted(set(self.counts) - set(MORPHOLOGIES))
        if unknown:
            raise ValueError(f"no drawing of {', '.join(unknown)}; there are {', '.join(MORPHOLOGIES)}")
        single = sum(self.counts.values())
        if single == 0:
            raise ValueError("counts must name at least one photograph")
        if max(self.twins, self.duplicates) > single:
            raise ValueError("twins and duplicates cannot exceed the number of single cells")
        return self


class SourcesParams(Section):
    """One block for each source."""

    bccd: BccdParams
    smears: SmearsParams
