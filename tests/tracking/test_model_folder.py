from pathlib import Path

import keras
import mlflow
import numpy as np
import pytest
from keras import layers

from wbc.inference.ensemble import average
from wbc.tracking.model_folder import read_input, write_model_folder
from wbc.train.model_file import save_model

IDENTITY = {"model_id": "m-1", "run_id": "r1", "artifact_path": "file:///models/m-1"}


def network(height: int = 4, width: int = 6) -> keras.Model:
    image = keras.Input((height, width, 3), dtype="uint8")
    hidden = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, layers.Dense(2, activation="softmax")(hidden))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    keras.utils.set_random_seed(1)
    save_model(network(), tmp_path / "model.keras")
    return tmp_path / "model.keras"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_mlflow_loads_the_very_file_and_predicts_the_same(model: Path, folder: Path, tmp_path: Path) -> None:
    write_model_folder(folder, model=model, cells=tmp_path / "none.npy", classes=2, described=IDENTITY)

    assert (folder / "data" / "model.keras").read_bytes() == model.read_bytes()
    photographs = images(5, 4, 6, 3)
    expected = keras.saving.load_model(model).predict(photographs, verbose=0)
    np.testing.assert_array_equal(mlflow.pyfunc.load_model(str(folder)).predict(photographs), expected)
    loaded = mlflow.tensorflow.load_model(str(folder))
    np.testing.assert_array_equal(loaded.predict(photographs, verbose=0), expected)


def test_mlflow_knows_what_goes_in_and_out_and_what_it_takes(model: Path, folder: Path, tmp_path: Path) -> None:
    write_model_folder(folder, model=model, cells=tmp_path / "none.npy", classes=2, described=IDENTITY)

    described = mlflow.models.Model.load(str(folder))

    assert str(described.signature.inputs) == "[Tensor('uint8', (-1, 4, 6, 3))]"
    assert str(described.signature.outputs) == "[Tensor('float32', (-1, 2))]"
    assert (described.model_id, described.run_id) == ("m-1", "r1")
    assert described.model_size_bytes > model.stat().st_size
    requirements = mlflow.pyfunc.get_model_dependencies(str(folder))
    names = [line.split("==")[0] for line in Path(requirements).read_text().splitlines()]
    assert names == ["mlflow", "keras", "numpy", "tensorflow"]


@pytest.mark.parametrize(("shape", "is_example"), [((3, 4, 6, 3), True), ((3, 6, 4, 3), False)])
def test_the_first_cell_is_the_example_if_the_model_takes_it(
    model: Path, folder: Path, tmp_path: Path, shape: tuple[int, ...], is_example: bool
) -> None:
    cells = images(*shape)
    np.save(tmp_path / "cells.npy", cells)

    write_model_folder(folder, model=model, cells=tmp_path / "cells.npy", classes=2, described=IDENTITY)

    described = mlflow.models.Model.load(str(folder))
    example = described.load_input_example(str(folder))
    np.testing.assert_array_equal(example, cells[:1] if is_example else np.zeros((1, 4, 6, 3), np.uint8))
    assert described.get_serving_input(str(folder)).startswith('{"inputs": [[[[')


@pytest.mark.parametrize(
    "built",
    [
        network,
        lambda: average([network(), network()], views=4),
        lambda: keras.Sequential([keras.Input((4, 6, 3), dtype="uint8"), layers.Flatten(), layers.Dense(2)]),
    ],
    ids=["one network", "a mean of networks", "a chain of layers"],
)
def test_the_input_is_read_from_the_file(tmp_path: Path, built: object) -> None:
    save_model(built(), tmp_path / "model.keras")  # type: ignore[operator]
    assert read_input(tmp_path / "model.keras") == ((4, 6, 3), "uint8")
