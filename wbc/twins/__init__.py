"""Photographs that show the same field or the same cell: copies, overlapping fields, re-photographed cells."""

from wbc.twins.find import find_links, find_twins
from wbc.twins.groups import find_contradictions, merge_groups, summarise_twins

__all__ = ["find_contradictions", "find_links", "find_twins", "merge_groups", "summarise_twins"]
