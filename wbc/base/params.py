"""Reads params.yaml and turns a section of it into a typed, validated object."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

PARAMS_FILE = Path("params.yaml")


class ParamsError(ValueError):
    """params.yaml is unusable; the message says where and how to mend it."""


class Section(BaseModel):
    """A part of params.yaml: unknown keys are errors, values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SectionType = TypeVar("SectionType", bound=BaseModel)


def read_params(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Return params.yaml as plain Python objects.

    YAML 1.2, because DVC writes ``5e-05``, which YAML 1.1 readers take for a string.
    Raises ParamsError when the file is absent or not a YAML mapping.
    """
    try:
        content = YAML(typ="safe").load(path.read_text())
    except FileNotFoundError as error:
        raise ParamsError(f"{path} not found: run this from the project's top folder") from error
    except YAMLError as error:
        raise ParamsError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ParamsError(f"{path} must hold `key: value` lines")
    return content


def validate(schema: type[SectionType], value: Any, *, where: str = "") -> SectionType:
    """Return ``value`` as a ``schema``; raise ParamsError with one line per wrong key, named from ``where`` on."""
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join([*filter(None, [where]), *map(str, problem["loc"])])
            message = problem["msg"].removeprefix("Value error, ")
            given = "" if problem["type"] == "missing" else f" (got {problem['input']!r})"
            lines.append(f"params.yaml: {key or 'the file'}: {message}{given if len(given) < 80 else ''}")
        raise ParamsError("\n".join(lines)) from error


def read_section(schema: type[SectionType], *keys: str, path: Path = PARAMS_FILE) -> SectionType:
    """Return the section of params.yaml reached by ``keys`` as a ``schema``. Raises ParamsError."""
    value: Any = read_params(path)
    for depth, key in enumerate(keys):
        if not isinstance(value, dict) or key not in value:
            raise ParamsError(f"params.yaml: {'.'.join(keys[: depth + 1])} is missing")
        value = value[key]
    return validate(schema, value, where=".".join(keys))


def read_number(key: str, path: Path = PARAMS_FILE) -> int:
    """Return a whole number at the top of params.yaml, such as ``seed`` or ``threads``. Raises ParamsError."""
    value = read_params(path).get(key)
    if not isinstance(value, int) or value < 0:
        raise ParamsError(f"params.yaml: {key}: must be a whole number, 0 or more (got {value!r})")
    return value
