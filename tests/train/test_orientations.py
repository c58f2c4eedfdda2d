import numpy as np

from wbc.train.orientations import count_orientations, orient

SQUARE = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(1, 4, 4, 3)
OBLONG = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(1, 2, 4, 3)


def test_a_square_has_the_eight_positions_of_flips_and_quarter_turns() -> None:
    expected = {np.rot90(flipped, turns).tobytes() for flipped in (SQUARE[0], SQUARE[0][::-1]) for turns in range(4)}
    assert count_orientations(SQUARE) == 8
    assert {orient(SQUARE, positions=np.array([position])).tobytes() for position in range(8)} == expected


def test_an_oblong_is_only_flipped() -> None:
    expected = {OBLONG[0][::rows, ::columns].tobytes() for rows in (1, -1) for columns in (1, -1)}
    assert count_orientations(OBLONG) == 4
    assert {orient(OBLONG, positions=np.array([position])).tobytes() for position in range(4)} == expected


def test_each_image_has_its_own_position_and_the_original_is_untouched() -> None:
    images = np.concatenate([SQUARE, SQUARE])
    turned = orient(images, positions=np.array([0, 3]))
    np.testing.assert_array_equal(turned[0], SQUARE[0])
    np.testing.assert_array_equal(turned[1], SQUARE[0][::-1, ::-1])
    np.testing.assert_array_equal(images, np.concatenate([SQUARE, SQUARE]))
