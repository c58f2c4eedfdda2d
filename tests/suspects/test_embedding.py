import numpy as np

from wbc.suspects.embedding import embed


def test_images_are_described_one_by_one_in_the_order_of_their_positions() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(3, 64, 64, 3), dtype=np.uint8)
    images[2] = images[0]
    features = embed(images, positions=np.array([2, 1, 0]))
    assert features.shape == (3, 1280)
    # The place in a batch may change how sums are rounded, another image changes all: the first is far below a tenth.
    assert np.abs(features[0] - features[2]).max() < 0.01
    assert np.abs(features[0] - features[1]).max() > 0.1
    np.testing.assert_array_equal(embed(images, positions=np.array([0, 1, 2])), features)  # the same batch of pixels
