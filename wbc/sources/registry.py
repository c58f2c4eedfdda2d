"""Every source by its name in params.yaml, with the section that describes it."""

from collections.abc import Callable
from typing import NamedTuple

from wbc.params.base import Section
from wbc.params.sources import BccdParams, SmearsParams
from wbc.sources import bccd, smears


class Source(NamedTuple):
    """``bring(destination, params=...)`` fills a folder with the layout of wbc.voc, perhaps on top of a killed try."""

    bring: Callable[..., None]
    schema: type[Section]


SOURCES: dict[str, Source] = {
    "bccd": Source(bccd.bring, BccdParams),
    "smears": Source(smears.bring, SmearsParams),
}
