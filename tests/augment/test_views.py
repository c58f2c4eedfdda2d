import cv2
import numpy as np
import pytest

from wbc.augment.params import AugmentParams
from wbc.augment.views import random_view
from wbc.base.draws import generator
from wbc.data.arrays import Image

STILL = {
    "target_per_class": None,
    "copies": 1,
    "rotation": 0,
    "shift": 0,
    "shear": 0,
    "scale": 0,
    "flips": False,
    "brightness": 0,
    "colour": 0,
    "stain": 0,
    "order": "views_first",
    "balance": "none",
    "space": "pixels",
    "neighbours": 5,
}
SEEDS = range(12)


def view(image: Image, *, seed: int = 0, **strengths: object) -> Image:
    """Draw a view with nothing but the given strengths."""
    params = AugmentParams.model_validate(STILL | strengths)
    return random_view(image, params=params, draws=generator(seed, "view"))


def blob(x: int, y: int, *, radius: int = 6) -> Image:
    """A violet disc on white, 61 rows by 81 columns; RGB."""
    image = np.full((61, 81, 3), 255, np.uint8)
    cv2.circle(image, (x, y), radius, (90, 50, 150), -1)
    return image


def centre(image: Image) -> np.ndarray:
    """Return (x, y) of what is dark."""
    return np.argwhere(image[:, :, 1] < 150).mean(axis=0)[::-1]


def test_no_strength_no_change() -> None:
    every_byte = np.arange(256, dtype=np.uint8)
    colours = np.stack(np.meshgrid(every_byte, every_byte[::5], every_byte[::5]), axis=-1).reshape(256, -1, 3)
    assert np.array_equal(view(colours), colours)


def test_a_view_has_the_shape_and_type_of_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (33, 57, 3), dtype=np.uint8)
    strong = {"rotation": 180, "shift": 0.5, "shear": 1.4, "scale": 0.9, "flips": True}
    jittered = view(image, **strong, brightness=0.9, colour=0.9, stain=0.9)
    assert jittered.shape == image.shape
    assert jittered.dtype == np.uint8
    assert not np.array_equal(jittered, image)


def test_another_draw_is_another_view_and_the_same_draw_the_same() -> None:
    image = blob(50, 30)
    first, again, other = (view(image, seed=seed, rotation=180) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rotation_keeps_the_distance_from_the_centre_and_obeys_its_limit() -> None:
    angles = []
    for seed in SEEDS:
        x, y = centre(view(blob(60, 30), seed=seed, rotation=30)) - (40, 30)
        assert np.hypot(x, y) == pytest.approx(20, abs=0.5)
        angles.append(np.degrees(np.arctan2(y, x)))
    assert max(np.abs(angles)) < 31
    assert min(angles) < -10
    assert max(angles) > 10


def test_shifts_are_shares_of_width_and_height() -> None:
    shifts = np.array([centre(view(blob(40, 30), seed=seed, shift=0.25)) - (40, 30) for seed in SEEDS])
    assert (np.abs(shifts) <= np.array([81, 61]) / 4 + 0.5).all()
    assert (np.abs(shifts).max(axis=0) > np.array([16, 10])).all()


def test_scale_changes_the_area() -> None:
    areas = [(view(blob(40, 30, radius=12), seed=seed, scale=0.3)[:, :, 1] < 150).sum() for seed in SEEDS]
    ratios = np.sqrt(np.array(areas) / (blob(40, 30, radius=12)[:, :, 1] < 150).sum())
    assert 0.68 < ratios.min() < 0.9
    assert 1.1 < ratios.max() < 1.32


def test_shear_moves_rows_against_each_other() -> None:
    moves = np.array([centre(view(blob(40, 10), seed=seed, shear=0.5)) - (40, 10) for seed in SEEDS])
    assert np.abs(moves[:, 1]).max() < 0.5
    assert 6 < np.abs(moves[:, 0]).max() < 20 * np.tan(0.5) + 0.5
    assert centre(view(blob(40, 30), shear=0.5)) == pytest.approx((40, 30), abs=0.5)


def test_flips_are_exact_and_all_four_occur() -> None:
    image = np.random.default_rng(0).integers(0, 256, (31, 41, 3), dtype=np.uint8)
    turned = {"none": image, "left-right": image[:, ::-1], "up-down": image[::-1], "both": image[::-1, ::-1]}
    views = [view(image, seed=seed, flips=True) for seed in range(30)]
    names = [[name for name, flipped in turned.items() if np.array_equal(flipped, drawn)] for drawn in views]
    assert all(len(name) == 1 for name in names)
    assert {name for (name,) in names} == set(turned)


def test_the_edge_is_mirrored_not_black() -> None:
    grey = np.full((40, 40, 3), 200, np.uint8)
    assert (view(grey, rotation=180, shift=0.4, scale=0.5) == 200).all()


def test_brightness_is_added_to_every_pixel_alike() -> None:
    image = np.random.default_rng(0).integers(60, 190, (20, 20, 3), dtype=np.uint8)
    changes = [np.unique(view(image, seed=seed, brightness=0.2).astype(int) - image) for seed in SEEDS]
    assert all(np.ptp(change) <= 1 and np.abs(change).max() <= 51 for change in changes)
    assert len({int(change[0]) for change in changes}) > 5


def test_colour_is_a_gain_of_each_channel() -> None:
    image = np.random.default_rng(0).integers(100, 200, (20, 20, 3), dtype=np.uint8)
    gains = view(image, colour=0.2) / image.astype(float)
    assert gains.std(axis=(0, 1)).max() < 0.005
    assert np.ptp(gains.mean(axis=(0, 1))) > 0.02
    assert (np.abs(gains - 1) < 0.21).all()


def test_stain_leaves_white_white_and_makes_violet_paler_or_darker() -> None:
    darkness = []
    for seed in SEEDS:
        stained = view(blob(40, 30), seed=seed, stain=0.3)
        assert stained[0, 0].tolist() == [255, 255, 255]
        darkness.append(int(stained[30, 40].sum()))
    assert min(darkness) < 290 - 20
    assert max(darkness) > 290 + 20
