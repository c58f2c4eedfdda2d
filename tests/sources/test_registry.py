from pathlib import Path
from typing import get_args

from wbc.base.params import read_section
from wbc.sources.params import SourceName, SourcesParams
from wbc.sources.registry import SOURCES

PARAMS = Path(__file__).parents[2] / "params.yaml"


def test_every_source_can_be_named_and_has_its_section() -> None:
    assert set(SOURCES) == set(get_args(SourceName)) == set(SourcesParams.model_fields)
    assert {name: source.schema for name, source in SOURCES.items()} == SourcesParams.__annotations__
    sections = read_section(SourcesParams, "sources", path=PARAMS)
    assert all(isinstance(getattr(sections, name), source.schema) for name, source in SOURCES.items())
