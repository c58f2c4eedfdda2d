"""Lays out a Keras file as a model that MLflow can load and serve, without TensorFlow.

`mlflow.tensorflow.save_model` would start TensorFlow, load the model, save it again and try it on its example: 20 s.
"""

import importlib.metadata
import json
import platform
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from wbc.data.arrays import Image, read_images

_PACKAGES = ("mlflow", "keras", "numpy", "tensorflow")  # what predicting takes


def write_model_folder(folder: Path, *, model: Path, cells: Path, classes: int, described: Mapping[str, str]) -> None:
    """Write into ``folder`` an MLflow model of the flavour tensorflow around the Keras file ``model``, byte for byte.

    Its signature goes from the images that the file asks for to float32 probabilities (images, ``classes``). Its input
    example is the first of the images at ``cells``, or a black one where these are not images for this model.
    ``described`` is what MLflow knows of it: ``model_id``, ``run_id`` and ``artifact_path``.
    """
    shape, dtype = read_input(model)
    _write_data(folder / "data", model=model)
    _write_example(folder, _read_example(cells, shape=shape).tolist())
    _write_environment(folder)
    signature = {"inputs": _tensor(dtype, (-1, *shape)), "outputs": _tensor("float32", (-1, classes)), "params": None}
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    content = _describe_flavours() | {"signature": signature, "model_size_bytes": size, **described}
    _write_yaml(folder / "MLmodel", content | {"model_uuid": described["model_id"]})


def read_input(model: Path) -> tuple[tuple[int, ...], str]:
    """Return the shape (height, width, channels) and the dtype of an image for the Keras file ``model``."""
    with zipfile.ZipFile(model) as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    image = next(layer["config"] for layer in layers if layer["class_name"] == "InputLayer")
    return tuple(image["batch_shape"][1:]), image["dtype"]


def _write_data(folder: Path, *, model: Path) -> None:
    """Copy ``model`` to where `mlflow.tensorflow` looks for it, with the two notes that it reads first."""
    folder.mkdir()
    shutil.copyfile(model, folder / "model.keras")
    (folder / "keras_module.txt").write_text("tensorflow.keras")
    (folder / "save_format.txt").write_text("tf")


def _read_example(cells: Path, *, shape: tuple[int, ...]) -> Image:
    images = read_images(cells)[:1] if cells.exists() else None
    return np.array(images) if images is not None and images.shape[1:] == shape else np.zeros((1, *shape), np.uint8)


def _write_example(folder: Path, images: list[Any]) -> None:
    (folder / "input_example.json").write_text(json.dumps(images))
    (folder / "serving_input_example.json").write_text(json.dumps({"inputs": images}))


def _write_environment(folder: Path) -> None:
    """Write the packages, in their present versions, in the three ways in which MLflow asks for them."""
    python = platform.python_version()
    requirements = [f"{name}=={importlib.metadata.version(name)}" for name in _PACKAGES]
    (folder / "requirements.txt").write_text("\n".join(requirements))
    _write_yaml(folder / "python_env.yaml", {"python": python, "dependencies": ["-r requirements.txt"]})
    packages = [f"python={python}", "pip", {"pip": requirements}]
    conda = {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": packages}
    _write_yaml(folder / "conda.yaml", conda)


def _describe_flavours() -> dict[str, Any]:
    """Return what MLmodel says of every model that is laid out so."""
    general = {
        "loader_module": "mlflow.tensorflow",
        "data": "data",
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "python_version": platform.python_version(),
    }
    keras = {
        "model_type": "keras",
        "data": "data",
        "code": None,
        "save_format": "tf",
        "keras_version": importlib.metadata.version("tensorflow"),  # MLflow puts TensorFlow's there
    }
    example = {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "ndarray",
    }
    return {
        "flavors": {"python_function": general, "tensorflow": keras},
        "mlflow_version": importlib.metadata.version("mlflow"),
        "saved_input_example_info": example,
    }


def _tensor(dtype: str, shape: tuple[int, ...]) -> str:
    return json.dumps([{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}])


def _write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    with path.open("w") as file:
        YAML().dump(content, file)
