import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wbc.check.whole import check_params
from wbc.models.params import MODEL_NAMES
from wbc.models.registry import FROM_SCRATCH, WITH_BACKBONE, build_model

MODELS = check_params(Path(__file__).parents[2] / "params.yaml").models
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
LOAD_ANYWHERE = """
import sys
import keras, numpy as np
images = np.load("images.npy")
for name in sys.argv[1:]:
    model = keras.saving.load_model(f"{name}.keras")
    sums = [weight.sum(dtype=np.float64) for weight in model.get_weights()]
    np.savez(f"{name}.npz", probabilities=model(images), sums=sums)
assert not any(name.split(".")[0] == "wbc" for name in sys.modules)
"""


def build(name, **changes):
    params = getattr(MODELS, name).model_copy(update={"input": (80, 76)} | changes)
    return build_model(name, image_shape=(96, 96, 3), classes=5, params=params, pretrained=None)


def test_every_model_of_the_params_has_a_builder():
    assert sorted(FROM_SCRATCH | WITH_BACKBONE) == sorted(MODEL_NAMES)


@pytest.fixture(scope="module")
def examined(tmp_path_factory):
    """Return {name: (probabilities, sum of each weight)} before saving, and the same from a process without wbc."""
    folder = tmp_path_factory.mktemp("models")
    np.save(folder / "images.npy", IMAGES)
    before = {}
    for name in MODEL_NAMES:
        model = build(name)
        assert model.name == ("compact_cnn" if name == "custom" else name)
        assert model.input.dtype == "uint8"
        sums = [weight.sum(dtype=np.float64) for weight in model.get_weights()]
        before[name] = (model(IMAGES).numpy(), sums)
        model.save(folder / f"{name}.keras")
    subprocess.run([sys.executable, "-c", LOAD_ANYWHERE, *MODEL_NAMES], cwd=folder, check=True)
    after = {name: np.load(folder / f"{name}.npz") for name in MODEL_NAMES}
    return before, {name: (file["probabilities"], file["sums"]) for name, file in after.items()}


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_model_goes_from_bytes_to_probabilities_wherever_it_is_loaded(name, examined):
    (probabilities, sums), (probabilities_elsewhere, sums_elsewhere) = (side[name] for side in examined)
    assert probabilities.shape == (2, 5)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(probabilities_elsewhere, probabilities, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(sums_elsewhere, sums)  # untrained, its probabilities say little of it


@pytest.mark.parametrize("name", FROM_SCRATCH)
def test_pretrained_weights_are_refused_where_there_are_none(name, tmp_path):
    params = getattr(MODELS, name)
    with pytest.raises(ValueError, match=f"{name} takes no pretrained weights"):
        build_model(name, image_shape=(96, 96, 3), classes=5, params=params, pretrained=tmp_path / "weights.npz")
