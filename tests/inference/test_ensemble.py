from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from wbc.explain.explain import last_features
from wbc.inference.ensemble import average, networks_of
from wbc.inference.inference import load_model, predict
from wbc.train.calibration import scale_by_temperature
from wbc.train.model_file import save_model
from wbc.train.orientations import orient

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 3), dtype=np.uint8)


def network(seed: int, *, hidden: int) -> keras.Model:
    image = keras.Input((6, 6, 3), dtype="uint8")
    start = keras.initializers.GlorotUniform(seed=seed)
    tensor = layers.Dense(hidden, kernel_initializer=start)(layers.Flatten()(layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, layers.Dense(2, activation="softmax", kernel_initializer=start)(tensor), name="toy")


def test_the_mean_of_the_probabilities_survives_temperature_and_file(tmp_path: Path) -> None:
    networks = [network(1, hidden=3), network(2, hidden=4)]
    model = average(networks)
    mean = np.mean([predict(one, IMAGES, positions=range(5)) for one in networks], axis=0)
    np.testing.assert_allclose(predict(model, IMAGES, positions=range(5)), mean, rtol=1e-4, atol=1e-6)
    save_model(scale_by_temperature(model, 0.5), tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    sharper = mean**2 / (mean**2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict(loaded, IMAGES, positions=range(5)), sharper, rtol=1e-4, atol=1e-6)
    assert loaded.name == "toy"
    for before, after in zip(networks, networks_of(loaded), strict=True):
        np.testing.assert_array_equal(
            predict(after, IMAGES, positions=range(5)), predict(before, IMAGES, positions=range(5))
        )
    assert last_features(loaded).output_shape == (None, 3 + 4)


@pytest.mark.parametrize("views", [4, 8])
def test_the_views_of_each_network_are_averaged_as_well(views: int, tmp_path: Path) -> None:
    networks = [network(1, hidden=3), network(2, hidden=4)]
    looks = [orient(IMAGES, positions=np.full(5, position)) for position in range(views)]
    mean = np.mean([predict(one, look, positions=range(5)) for one in networks for look in looks], axis=0)
    save_model(average(networks, views=views), tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(predict(loaded, IMAGES, positions=range(5), batch_size=2), mean, rtol=1e-4, atol=1e-6)


def test_eight_views_of_one_network_know_no_up_and_no_left() -> None:
    model = average([network(1, hidden=3)], views=8)
    turned = predict(model, np.rot90(IMAGES, axes=(1, 2)), positions=range(5))
    np.testing.assert_allclose(turned, predict(model, IMAGES, positions=range(5)), rtol=1e-4, atol=1e-6)
    assert len(networks_of(model)) == 1
    assert last_features(model).output_shape == (None, 3)


def test_oblong_images_have_four_views() -> None:
    image = keras.Input((4, 6, 3), dtype="uint8")
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(layers.Rescaling(1 / 255)(image))))
    looks = [orient(IMAGES[:, :4], positions=np.full(5, position)) for position in range(4)]
    expected = np.mean([predict(model, look, positions=range(5)) for look in looks], axis=0)
    seen = predict(average([model], views=4), IMAGES[:, :4], positions=range(5))
    np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-6)


def test_the_same_networks_give_the_same_file(tmp_path: Path) -> None:
    contents = []
    for name in ("first", "second"):
        keras.utils.clear_session()
        save_model(average([network(1, hidden=3), network(2, hidden=4)]), tmp_path / f"{name}.keras")
        contents.append((tmp_path / f"{name}.keras").read_bytes())
    assert contents[0] == contents[1]


def test_a_single_model_is_its_own_network() -> None:
    model = network(1, hidden=3)
    assert networks_of(model) == [model]
