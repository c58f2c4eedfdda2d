import subprocess
import sys

import numpy as np
import pytest

from wbc.models.registry import BUILDERS
from wbc.params.models import MODEL_NAMES, ModelParams

LOAD_ANYWHERE = """
import sys
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
assert not any(name.split(".")[0] == "wbc" for name in sys.modules)
"""


def test_every_model_of_the_params_has_a_builder():
    assert tuple(BUILDERS) == MODEL_NAMES


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_model_goes_from_bytes_to_probabilities_wherever_it_is_loaded(name, tmp_path):
    params = ModelParams(
        input=(48, 64),
        weights="random",
        dropout=0.5,
        l2=0.01,
        optimizer="adam",
        learning_rate=0.001,
        batch_size=2,
        epochs=1,
    )
    model = BUILDERS[name](image_shape=(96, 96, 3), classes=5, params=params, pretrained=None)
    assert model.name == name
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    probabilities = model.predict(images, verbose=0)
    assert probabilities.shape == (2, 5)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)

    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    paths = [str(tmp_path / file) for file in ("model.keras", "images.npy", "probabilities.npy")]
    subprocess.run([sys.executable, "-c", LOAD_ANYWHERE, *paths], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(paths[2]), probabilities, rtol=1e-5)
