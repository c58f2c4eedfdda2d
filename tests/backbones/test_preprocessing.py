import keras
import numpy as np
import pytest
from keras.applications.imagenet_utils import preprocess_input

from wbc.backbones.preprocessing import preprocess

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)


def preprocessed(images, *, mode, size):
    image = keras.Input(images.shape[1:], dtype="uint8")
    return keras.Model(image, preprocess(image, mode=mode, size=size)).predict(images, verbose=0)


@pytest.mark.parametrize("mode", ["torch", "tf", "caffe"])
def test_images_become_what_keras_makes_of_them(mode):
    expected = preprocess_input(IMAGES.astype(np.float32), mode=mode)
    np.testing.assert_allclose(preprocessed(IMAGES, mode=mode, size=(5, 7)), expected, atol=1e-4)


def test_images_are_normalised_by_the_statistics_of_imagenet():
    normalised = preprocessed(np.uint8([[[[0, 0, 0], [255, 128, 51]]]]), mode="torch", size=(1, 2))
    expected = [[-2.1179, -2.0357, -1.8044], [2.2489, 0.2052, -0.9156]]
    np.testing.assert_allclose(normalised[0, 0], expected, atol=1e-4)


def test_images_are_resized():
    assert preprocessed(IMAGES, mode="caffe", size=(9, 8)).shape == (2, 9, 8, 3)
