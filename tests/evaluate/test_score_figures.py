from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pandas as pd
import pytest

from wbc.data.arrays import Image, image_writer, read_images
from wbc.evaluate import score_figures as figures
from wbc.scores.scores import evaluate_with_intervals

CLASSES = ["EOSINOPHIL", "LYMPHOCYTE", "NEUTROPHIL"]
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6], [0.9, 0.0, 0.1]])
LABELS = ["EOSINOPHIL", "LYMPHOCYTE", "NEUTROPHIL", "NEUTROPHIL", "NEUTROPHIL"]
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 24, 32, 3), dtype=np.uint8)
HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "loss": [1.0, 0.6, 0.4],
        "accuracy": [0.5, 0.7, 0.9],
        "val_loss": [1.1, 0.8, 0.9],
        "val_accuracy": [0.4, 0.7, 0.7],
        "learning_rate": [1e-3, 5e-4, 1e-5],
    }
)
MEASURED = evaluate_with_intervals(
    np.array([0, 2, 2, 2, 0]), PROBABILITIES, groups=["a", "b", "c", "d", "e"], classes=CLASSES
)
COUNTS = {
    "EOSINOPHIL": {"EOSINOPHIL": 1, "LYMPHOCYTE": 0, "NEUTROPHIL": 0},
    "LYMPHOCYTE": {"EOSINOPHIL": 0, "LYMPHOCYTE": 0, "NEUTROPHIL": 0},
    "NEUTROPHIL": {"EOSINOPHIL": 3, "LYMPHOCYTE": 0, "NEUTROPHIL": 9},
}


def draw_mistakes(path: Path, *, prediction: list[str]) -> None:
    figures.mistakes(
        path,
        images=IMAGES,
        positions=range(5),
        truth=LABELS,
        prediction=prediction,
        confidence=PROBABILITIES.max(axis=1),
        identifiers=[f"smear_{number}" for number in range(5)],
    )


FIGURES: dict[str, Callable[[Path], None]] = {
    "confusion_matrix": lambda path: figures.confusion_matrix(path, counts=COUNTS, classes=CLASSES),
    "class_measures": lambda path: figures.class_measures(path, per_class=MEASURED["per_class"]),
    "confusion_by_flag": lambda path: figures.confusion_by_flag(
        path,
        counts={"unflagged": COUNTS, "cut_by_frame": COUNTS},
        titles={"unflagged": "n = 13", "cut_by_frame": "n = 13"},
    ),
    "class_distribution": lambda path: figures.class_distribution(
        path, stages={"labelled": {"NEUTROPHIL": 205, "BASOPHIL": 3}, "after cleaning": {"NEUTROPHIL": 204}}
    ),
    "average_images": lambda path: figures.average_images(path, images=IMAGES, labels=LABELS),
    "pixel_distribution": lambda path: figures.pixel_distribution(path, images=IMAGES, labels=LABELS),
    "mistakes": lambda path: draw_mistakes(path, prediction=["NEUTROPHIL"] * 5),
    "learning_curves": lambda path: figures.learning_curves(path, history=HISTORY),
    "learning_curves_of_one_epoch": lambda path: figures.learning_curves(path, history=HISTORY[:1]),
}


def read(path: Path) -> Image:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def colours_of(path: Path) -> set[tuple[int, ...]]:
    packed = np.unique(read(path) @ np.array([1 << 16, 1 << 8, 1]))
    return {(colour >> 16, colour >> 8 & 255, colour & 255) for colour in packed.tolist()}


@pytest.mark.parametrize("name", FIGURES)
def test_a_png_of_readme_width_and_nothing_beside_it(name: str, tmp_path: Path) -> None:
    FIGURES[name](tmp_path / "figures" / "drawn.png")
    picture = read(tmp_path / "figures" / "drawn.png")
    assert picture.shape[1] == 800
    assert 130 < picture.shape[0] < 800
    assert picture.min() < 100
    assert (picture[-1] > 230).mean() > 0.9  # nothing runs over the lower edge
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["drawn.png"]


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_bytes_every_time(name: str, tmp_path: Path) -> None:
    FIGURES[name](tmp_path / "one.png")
    FIGURES[name](tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert b"matplotlib" not in (tmp_path / "one.png").read_bytes().lower()


def test_the_style_of_the_user_changes_no_byte(tmp_path: Path) -> None:
    FIGURES["confusion_matrix"](tmp_path / "plain.png")
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 30, "figure.facecolor": "black"}):
        FIGURES["confusion_matrix"](tmp_path / "styled.png")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "styled.png").read_bytes()


def test_the_mean_of_each_class_from_a_file_of_many_images(tmp_path: Path) -> None:
    with image_writer(tmp_path / "cells.npy", shape=(10, 10, 3)) as append:
        for number in range(600):
            append(np.full((10, 10, 3), (0, 100, 250) if number % 2 else (201, 60, 30), dtype=np.uint8))
        append(np.full((10, 10, 3), (10, 220, 30), dtype=np.uint8))
    images = read_images(tmp_path / "cells.npy")
    figures.average_images(tmp_path / "drawn.png", images=images, labels=["MONOCYTE"] * 600 + ["BLAST"])
    assert {(100, 80, 140), (10, 220, 30)} <= colours_of(tmp_path / "drawn.png")  # mean of 600, and of one


def test_the_gallery_shows_the_most_confident_mistakes_and_no_more_than_24(tmp_path: Path) -> None:
    shades = np.arange(60, 90)
    images = np.stack([np.full((8, 8, 3), (shade, 200, 255), dtype=np.uint8) for shade in shades])
    figures.mistakes(
        tmp_path / "drawn.png",
        images=images,
        positions=range(30),
        truth=["NEUTROPHIL"] * 30,
        prediction=["NEUTROPHIL"] + ["EOSINOPHIL"] * 29,
        confidence=np.linspace(1, 0.5, 30),
        identifiers=[f"smear_{number}" for number in range(30)],
    )
    drawn = {red for red, green, blue in colours_of(tmp_path / "drawn.png") if (green, blue) == (200, 255)}
    assert drawn == set(range(61, 85))
    reds = [red for red, green, blue in read(tmp_path / "drawn.png")[:, 150] if (green, blue) == (200, 255)]
    assert list(dict.fromkeys(reds)) == [61, 65, 69, 73, 77, 81]  # the first of each row


def test_without_a_mistake_the_figure_says_so(tmp_path: Path) -> None:
    draw_mistakes(tmp_path / "none.png", prediction=LABELS)
    picture = read(tmp_path / "none.png")
    assert picture.shape == (100, 800, 3)
    assert picture[40:60, 230:570].min() < 100  # the sentence
    assert picture[:33].min() == 255


def test_the_confusion_is_shaded_by_the_share_of_the_true_class(tmp_path: Path) -> None:
    few = {"A": {"A": 1, "B": 0}, "B": {"A": 0, "B": 1}}
    many = {"A": {"A": 80, "B": 0}, "B": {"A": 0, "B": 5}}
    for name, counts in {"few": few, "many": many}.items():
        figures.confusion_matrix(tmp_path / f"{name}.png", counts=counts, classes=["A", "B"])
    full, empty = (8, 48, 107), (247, 251, 255)  # the ends of matplotlib's Blues
    for name in ("few", "many"):
        picture = read(tmp_path / f"{name}.png")
        assert (picture == full).all(axis=2).mean() > 0.3
        assert (picture == empty).all(axis=2).mean() > 0.3


def test_each_flag_has_a_confusion_of_its_own(tmp_path: Path) -> None:
    right = {"A": {"A": 4, "B": 0}, "B": {"A": 0, "B": 4}}
    wrong = {"A": {"A": 0, "B": 4}, "B": {"A": 4, "B": 0}}
    figures.confusion_by_flag(
        tmp_path / "drawn.png", counts={"first": right, "second": wrong}, titles={"first": "1", "second": "2"}
    )
    shaded = (read(tmp_path / "drawn.png")[:330] == (8, 48, 107)).all(axis=2)
    upper, lower = np.flatnonzero(shaded[:, :400].any(axis=1))[[0, -1]]
    middle = (upper + lower) // 2
    first, second = (np.nonzero(shaded[upper : middle - 5, columns])[1] for columns in (slice(0, 400), slice(400, 800)))
    assert first.mean() < 200 + 30 < second.mean()  # A called A is on the left of the one, A called B on the right


def test_the_epoch_with_the_least_validation_loss_is_ringed(tmp_path: Path) -> None:
    rings = []
    for losses in ([0.1, 0.2, 0.3], [0.2, 0.1, 0.3], [0.3, 0.3, 0.1]):
        history = HISTORY.assign(val_loss=losses, val_accuracy=0.5, accuracy=0.6)
        figures.learning_curves(tmp_path / "drawn.png", history=history)
        panel = read(tmp_path / "drawn.png")[66:, 320:566]
        _, columns = np.nonzero((panel == (213, 94, 0)).all(axis=2))
        ink = np.bincount(columns, minlength=246)
        rings.append(int(np.convolve(ink, np.ones(15), mode="same").argmax()))  # a ring takes more ink than the line
    first, second, third = rings
    assert first + 66 < second < third - 66


def test_a_figure_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        figures.learning_curves(tmp_path / "drawn.png", history=HISTORY.drop(columns="val_accuracy"))
    assert list(tmp_path.iterdir()) == []
