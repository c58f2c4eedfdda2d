import keras
import numpy as np
import pytest
from keras import layers

from wbc.inference.inference import measure_speed, predict

IMAGES = np.random.default_rng(0).integers(0, 256, size=(7, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A network for which left and right, up and down make a difference."""
    keras.utils.set_random_seed(5)
    image = keras.Input((8, 8, 3), dtype="uint8")
    features = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, layers.Dense(2, activation="softmax")(features))


def test_positions_are_taken_in_their_order_batch_by_batch(model: keras.Model) -> None:
    chosen = [6, 0, 3, 5, 2]
    probabilities = predict(model, IMAGES, positions=chosen, batch_size=2)
    np.testing.assert_allclose(probabilities, model.predict_on_batch(IMAGES[chosen]), rtol=1e-4, atol=1e-6)


def test_the_speed_is_a_number_of_images_a_second(model: keras.Model) -> None:
    assert 1 < measure_speed(model, IMAGES, positions=range(7)) < 1_000_000
