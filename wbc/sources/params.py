"""Parameters of the image sources: `data` and `sources` in params.yaml."""

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, NonNegativeInt, field_validator, model_validator

from wbc.base.names import class_name
from wbc.base.params import Section

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


SourceName = Literal["bccd", "smears", "folders", "npz", "blood_cells"]


class GroupsParams(Section):
    """A CSV file with the columns id and group, and a pattern that captures the group in a file's name.

    ``file`` of `data` is a dep of the stage download, relative to dvc.yaml, so that DVC notices an edit of it.
    """

    file: str = "wbc/sources/no_groups.csv"
    pattern: str | None = None

    @field_validator("pattern")
    @classmethod
    def _captures_once(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            count = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from error
        if count != 1:
            raise ValueError(f"must have one capturing group, has {count}")
        return pattern


class DataParams(Section):
    """Which source the images come from, and which patient or slide each of them belongs to."""

    source: SourceName
    groups: GroupsParams


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


class FoldersParams(Section):
    """A tree of class folders, which of its classes are taken and what they are called.

    Class names in any case. ``path`` is relative to the project's top folder.
    """

    path: str | None
    sha256: str | None = Field(pattern="^[0-9a-f]{64}$")
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    rename: dict[str, str]

    @model_validator(mode="after")
    def _is_pinned(self) -> "FoldersParams":
        if self.path is None:
            return self
        if self.path.startswith(("http://", "https://")):
            if self.sha256 is None:
                raise ValueError("a URL needs the sha256 of what it leads to")
            if not urlsplit(self.path).path.strip("/"):
                raise ValueError(f"the URL {self.path} names no file")
        return self


class NpzParams(Section):
    """A file in MedMNIST's format, a path or a URL, its checksum and the names of its classes from 0 on."""

    path: str = Field(pattern=r"\.npz(\?.*)?$")
    md5: str = Field(pattern="^[0-9a-f]{32}$")
    classes: tuple[str, ...] = Field(min_length=2)


class BloodCellsParams(Section):
    """The pinned commit of the augmented copies, and the archive that they are taken from."""

    commit: str = Field(pattern="^[0-9a-f]{40}$")
    archive: Literal["full", "train_sample"]


BCCD_CLASSES = ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")  # its copies in blood_cells have these alone


class SourcesParams(Section):
    """One block for each source."""

    bccd: BccdParams
    smears: SmearsParams
    folders: FoldersParams
    npz: NpzParams
    blood_cells: BloodCellsParams

    def classes(self, name: SourceName) -> set[str] | None:
        """Return the classes that the source ``name`` has, None for folders, of which only their files know."""
        match name:
            case "bccd":
                return {*BCCD_CLASSES, "BASOPHIL"}
            case "blood_cells":
                return {*BCCD_CLASSES}
            case "smears":
                return {drawn for drawn, count in self.smears.counts.items() if count}
            case "npz":
                return set(map(class_name, self.npz.classes))
            case "folders":
                return None
