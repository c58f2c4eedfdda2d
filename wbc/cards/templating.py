"""Fills the page templates that come with the package."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

_PAGES = Environment(
    loader=PackageLoader("wbc.cards"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def fill_template(template: str, **content: Any) -> str:
    """Return the file ``template`` of templates/ with ``content`` in it. Raises UndefinedError for what it lacks."""
    return _PAGES.get_template(template).render(**content)
