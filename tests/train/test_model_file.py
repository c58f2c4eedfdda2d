import time
import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

from wbc.inference.inference import load_model
from wbc.train.model_file import save_model


def small_model() -> keras.Model:
    keras.backend.clear_session()  # else layers are numbered on from those of earlier tests
    keras.utils.set_random_seed(5)
    image = keras.Input((8, 8, 3), dtype="uint8")
    penalty = keras.regularizers.L2(0.01)
    features = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    for _ in range(2):  # a shared object, whose id Keras writes down as an address in memory
        features = layers.Dense(4, kernel_regularizer=penalty)(features)
    return keras.Model(image, layers.Dense(2, activation="softmax")(features))


def test_the_same_model_gives_the_same_bytes_later(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path / "first.keras")
    time.sleep(2.1)  # a zip's dates have steps of two seconds
    save_model(small_model(), tmp_path / "second.keras")
    assert (tmp_path / "first.keras").read_bytes() == (tmp_path / "second.keras").read_bytes()


def test_a_saved_model_loads_and_predicts_the_same(tmp_path: Path) -> None:
    model = small_model()
    save_model(model, tmp_path / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, size=(5, 8, 8, 3), dtype=np.uint8)
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(images), model.predict_on_batch(images))
    assert zipfile.ZipFile(tmp_path / "model.keras").testzip() is None
