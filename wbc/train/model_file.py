"""Saves a Keras model so that the same model gives the same bytes."""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras

from wbc.base.files import written_aside

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold


def save_model(model: keras.Model, path: Path) -> None:
    """Write ``model`` to the .keras file ``path`` without dates and without numbers drawn from memory addresses."""
    with written_aside(path) as aside:
        model.save(aside)
        members = _read_members(aside)
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
            for name, content in sorted(members.items()):
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)


def _read_members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"]) | {"date_saved": "1980-01-01@00:00:00"}
    members["metadata.json"] = json.dumps(metadata).encode()
    members["config.json"] = json.dumps(_renumbered(json.loads(members["config.json"]), {})).encode()
    return members


def _renumbered(config: Any, numbers: dict[int, int]) -> Any:
    """Replace each shared_object_id, a memory address, by the order of its first appearance."""
    if isinstance(config, list):
        return [_renumbered(item, numbers) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        key: numbers.setdefault(value, len(numbers)) if key == "shared_object_id" else _renumbered(value, numbers)
        for key, value in config.items()
    }
