import keras
import numpy as np
import pytest

from wbc.backbones.resizing import resize_in_network


def resized(images, size):
    image = keras.Input(images.shape[1:])
    model = keras.Model(image, resize_in_network(image, size=size))
    return model, model.predict(images, verbose=0)


def test_right_size_is_left_alone():
    model, images = resized(np.ones((1, 32, 48, 3), np.float32), (32, 48))
    assert len(model.layers) == 1
    assert images.shape == (1, 32, 48, 3)


def test_whole_blocks_are_averaged():
    images = np.random.default_rng(0).random((1, 96, 128, 3), dtype=np.float32)
    expected = images.reshape(1, 32, 3, 32, 4, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(resized(images, (32, 32))[1], expected, rtol=1e-5)


@pytest.mark.parametrize("size", [(70, 33), (32, 90), (128, 160), (31, 32)])
def test_a_ramp_stays_a_ramp(size):
    ramp = np.linspace(0, 1, 64, dtype=np.float32)
    _, images = resized(np.broadcast_to(ramp[None, None, :, None], (1, 64, 64, 3)), size)
    assert images.shape == (1, *size, 3)
    centres = (np.arange(size[1]) + 0.5) * 64 / size[1] - 0.5
    np.testing.assert_allclose(images[0, 5, :, 0], np.clip(centres, 0, 63) / 63, atol=0.02)


def test_the_last_row_and_column_count_when_blocks_do_not_fit():
    images = np.zeros((1, 64, 64, 1), np.float32)
    images[0, -1, -1] = 1
    assert resized(images, (21, 21))[1].max() > 0


def test_a_plain_call_of_the_model_is_no_training():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Dropout(0.5)(resize_in_network(image, size=(12, 12))))
    np.testing.assert_array_equal(model(np.ones((1, 8, 8, 3), np.float32)), np.ones((1, 12, 12, 3)))
