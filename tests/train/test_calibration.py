import math
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from wbc.inference.inference import load_model, predict
from wbc.models.backbone import FEATURES
from wbc.scores.scores import evaluate
from wbc.train.calibration import calibrate, fit_temperature, scale_by_temperature
from wbc.train.features import split_at_features
from wbc.train.model_file import save_model

CLASSES = ["EOSINOPHIL", "LYMPHOCYTE", "NEUTROPHIL"]


def network(*, sharpness: float) -> keras.Model:
    """Return a small network on 8x8 px whose logits are multiplied by ``sharpness``."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(5)
    image = keras.Input((8, 8, 3), dtype="uint8")
    flat = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    features = layers.Identity(name=FEATURES)(flat)
    model = keras.Model(image, layers.Dense(3, activation="softmax", dtype="float32")(features), name="small")
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([sharpness * kernel, bias])
    return model


IMAGES = np.random.default_rng(0).integers(0, 256, size=(200, 8, 8, 3), dtype=np.uint8)


def drawn_labels() -> np.ndarray:
    """Return classes drawn from the probabilities of the network of sharpness 1, which is then calibrated."""
    probabilities = network(sharpness=1.0).predict_on_batch(IMAGES)
    chance = np.random.default_rng(1).random((len(IMAGES), 1))
    return (probabilities.cumsum(axis=1) < chance).sum(axis=1).clip(0, 2)


@pytest.mark.parametrize(("confidence", "temperature"), [(0.99, 2.0913), (0.9, 1.0), (0.7, 0.3856)])
def test_the_temperature_of_equal_confidences_in_closed_form(confidence: float, temperature: float) -> None:
    # Nine of ten right at one confidence c: the log loss is least where c ^ (1/T), normalised, is 0.9,
    # that is at T = ln(c / (1 - c)) / ln 9.
    truth = np.array([0] * 9 + [1])
    probabilities = np.tile([confidence, 1 - confidence], (10, 1))
    assert fit_temperature(probabilities, truth) == temperature
    assert temperature == pytest.approx(math.log(confidence / (1 - confidence)) / math.log(9), abs=5e-5)


def test_where_every_prediction_is_right_nothing_is_fitted() -> None:
    assert fit_temperature(np.array([[0.6, 0.4], [0.3, 0.7]]), np.array([0, 1])) == 1.0


def test_a_certainty_that_is_wrong_is_hot_and_finite() -> None:
    assert fit_temperature(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 1])) == 10.0


def test_an_overconfident_network_is_cooled_towards_the_truth_and_calls_the_same() -> None:
    truth = drawn_labels()
    overconfident = network(sharpness=4.0)
    calibrated, temperature = calibrate(overconfident, IMAGES, positions=np.arange(200), labels=truth)
    assert temperature == pytest.approx(4, rel=0.3)
    before, after = (predict(model, IMAGES, positions=np.arange(200)) for model in (overconfident, calibrated))
    assert evaluate(truth, after, classes=CLASSES)["log_loss"] < evaluate(truth, before, classes=CLASSES)["log_loss"]
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    scaled = before.astype(np.float64) ** (1 / temperature)
    np.testing.assert_allclose(after, scaled / scaled.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)


def test_the_calibrated_model_loads_without_this_project_and_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        model = scale_by_temperature(network(sharpness=4.0), 2.5)
        save_model(model, tmp_path / f"{name}.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    loaded = load_model(tmp_path / "one.keras")
    assert loaded.get_layer("temperature").scale == pytest.approx(0.4)
    np.testing.assert_array_equal(loaded.predict_on_batch(IMAGES), model.predict_on_batch(IMAGES))
    assert loaded.name == "small"


def test_the_temperature_belongs_to_the_head() -> None:
    model = scale_by_temperature(network(sharpness=4.0), 2.5)
    parts = split_at_features(model)
    assert parts is not None
    through = parts.head.predict_on_batch(parts.body.predict_on_batch(IMAGES))
    np.testing.assert_allclose(through, model.predict_on_batch(IMAGES), rtol=1e-4, atol=1e-6)


def test_a_probability_of_zero_stays_a_number() -> None:
    probabilities = scale_by_temperature(network(sharpness=1e5), 3.0).predict_on_batch(IMAGES)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
