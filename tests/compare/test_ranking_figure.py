from pathlib import Path

import cv2
import numpy as np

from wbc.compare.ranking_figure import draw_ranking
from wbc.scores.intervals import Interval

RESULTS = {"lite": Interval(0.9, 0.85, 0.95), "vgg16\ntrain.mixup=0.2": Interval(0.5, 0.4, 0.65)}


def draw(path: Path, *, faint: set[str]) -> None:
    draw_ranking(
        path,
        results=RESULTS,
        faint=faint,
        title="accuracy, 80 images",
        label="accuracy with 95 % interval",
        note="bccd, split grouped, seed 1, fold 0",
    )


def blue_pixels(path: Path) -> int:
    image = cv2.imread(str(path))
    assert image is not None
    return int((image == np.array([0xB2, 0x72, 0x00], np.uint8)).all(axis=2).sum())


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    draw(tmp_path / "one.png", faint=set())
    draw(tmp_path / "two.png", faint=set())
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_faint_model_is_grey(tmp_path: Path) -> None:
    draw(tmp_path / "both.png", faint=set())
    draw(tmp_path / "one.png", faint={"vgg16\ntrain.mixup=0.2"})
    assert 0 < blue_pixels(tmp_path / "one.png") < 0.7 * blue_pixels(tmp_path / "both.png")
