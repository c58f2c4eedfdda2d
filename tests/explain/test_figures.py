from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from wbc.explain.explain import Explanation
from wbc.explain.figures import embedding_map, evidence_maps

EXAMPLES = pd.DataFrame(
    {
        "id": ["one", "two", "three"],
        "truth": ["A", "A", "B"],
        "prediction": ["A", "B", "B"],
        "confidence": [0.9, 0.8, 0.7],
        "right": [True, False, True],
    }
)


def draw_maps(path: Path, *, values: float) -> np.ndarray:
    maps = np.zeros((3, 20, 20), np.float32)
    maps[:, 10:] = values
    images = np.full((3, 20, 20, 3), 128, np.uint8)
    evidence_maps(path, examples=EXAMPLES, images=images, explanation=Explanation("Grad-CAM", maps))
    return cv2.imread(str(path))


def test_a_pair_for_each_example_with_colour_only_where_the_map_is(tmp_path: Path) -> None:
    drawn, empty = (draw_maps(tmp_path / f"{values}.png", values=values).astype(int) for values in (1, 0))
    assert drawn.shape[1] == 800
    rows, columns = np.nonzero(np.abs(drawn - empty).max(axis=-1) > 20)
    thirds = np.unique(columns // 100)  # eight tiles: image and map in turn, two right, two wrong
    assert thirds.tolist() == [1, 5]
    assert 0.4 < len(rows) / (3 * 90 * 45) < 1.3  # the lower half of three maps


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    draw_maps(tmp_path / "one.png", values=1)
    draw_maps(tmp_path / "two.png", values=1)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def draw_embedding(path: Path, *, prediction: list[str]) -> np.ndarray:
    random = np.random.default_rng(0)
    embedding_map(
        path,
        training=random.normal(size=(30, 5)),
        training_labels=["A", "B", "C"] * 10,
        test=random.normal(size=(4, 5)),
        truth=["A", "B", "C", "A"],
        prediction=prediction,
    )
    return cv2.imread(str(path)).astype(int)


def test_a_ring_is_drawn_round_what_was_called_wrong(tmp_path: Path) -> None:
    right = draw_embedding(tmp_path / "right.png", prediction=["A", "B", "C", "A"])[40:]
    wrong = draw_embedding(tmp_path / "wrong.png", prediction=["A", "B", "C", "B"])[40:]
    assert right.shape[1] == 800
    rows, columns = np.nonzero(np.abs(right - wrong).max(axis=-1) > 50)
    assert 30 < len(rows) < 250
    assert np.ptp(rows) < 20
    assert np.ptp(columns) < 20
