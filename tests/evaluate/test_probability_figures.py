from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from wbc.data.arrays import Image
from wbc.evaluate import probability_figures as figures
from wbc.evaluate.review import score_review
from wbc.scores.predictions import Predicted
from wbc.scores.scores import evaluate

CLASSES = ["EOSINOPHIL", "LYMPHOCYTE", "NEUTROPHIL"]
PREDICTED = Predicted(
    np.array([0, 0, 2, 2, 2]),
    np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6], [0.9, 0.0, 0.1]]),
)
SCORES = evaluate(*PREDICTED, classes=CLASSES)
REVIEW = score_review(PREDICTED, PREDICTED, groups=list("abcde"), wished_error=0.25)
PARTS = {"test": PREDICTED, "validation": PREDICTED}
FIGURES: dict[str, Callable[[Path], None]] = {
    "roc_curves": lambda path: figures.roc_curves(path, predicted=PREDICTED, classes=CLASSES),
    "precision_recall": lambda path: figures.precision_recall_curves(path, predicted=PREDICTED, classes=CLASSES),
    "reliability": lambda path: figures.reliability_diagram(path, predicted=PREDICTED, scores=SCORES),
    "coverage_risk": lambda path: figures.coverage_risk_curves(path, parts=PARTS, review=REVIEW),
    "coverage_risk_without_a_wish": lambda path: figures.coverage_risk_curves(path, parts=PARTS, review=None),
}
ORANGE, BLUE = (213, 94, 0), (0, 114, 178)  # the first colours of the palette


def read(path: Path) -> Image:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def where(picture: Image, colour: tuple[int, int, int]) -> np.ndarray:
    """Return rows and columns (2, pixels) of ``colour``."""
    return np.array(np.nonzero((picture == colour).all(axis=2)))


@pytest.mark.parametrize("name", FIGURES)
def test_a_png_of_readme_width_whose_bytes_are_the_same_every_time(name: str, tmp_path: Path) -> None:
    for file in ("one.png", "two.png"):
        FIGURES[name](tmp_path / file)
    picture = read(tmp_path / "one.png")
    assert picture.shape[1] == 800
    assert (picture[-1] > 230).mean() > 0.9  # nothing runs over the lower edge
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_class_keeps_its_colour_in_every_order(order: list[int], tmp_path: Path) -> None:
    # A is perfect and runs along the frame; B crosses the middle.
    probabilities = np.array([[0.9, 0.9], [0.8, 0.1], [0.2, 0.5], [0.2, 0.5]])
    figures.roc_curves(
        tmp_path / "drawn.png",
        predicted=Predicted(np.array(order)[[0, 0, 1, 1]], probabilities[:, order]),
        classes=[["A", "B"][index] for index in order],
    )
    middle = {tuple(pixel) for pixel in read(tmp_path / "drawn.png")[300, 200:700].tolist()}
    assert BLUE in middle
    assert ORANGE not in middle


def test_precision_of_a_perfect_class_stays_at_the_top(tmp_path: Path) -> None:
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]])
    figures.precision_recall_curves(
        tmp_path / "drawn.png", predicted=Predicted(np.array([0, 0, 1, 1]), chances), classes=["A", "B"]
    )
    rows, columns = where(read(tmp_path / "drawn.png")[:, :520], BLUE)
    solid = np.bincount(rows).argmax()  # the row with most of its ink
    assert solid < 40  # the upper end of the axis
    assert np.ptp(columns[rows == solid]) > 400


def test_points_lie_on_the_diagonal_where_confidence_is_accuracy(tmp_path: Path) -> None:
    truth = np.array([0] * 3 + [1] + [0] * 19 + [1])
    chances = np.array([[0.75, 0.25]] * 4 + [[0.95, 0.05]] * 20)
    calibrated = Predicted(truth, chances)
    figures.reliability_diagram(
        tmp_path / "drawn.png", predicted=calibrated, scores=evaluate(*calibrated, classes=["A", "B"])
    )
    rows, columns = where(read(tmp_path / "drawn.png")[:430, 60:], BLUE)
    left, right = columns < columns.mean(), columns >= columns.mean()
    across = columns[right].mean() - columns[left].mean()
    up = rows[left].mean() - rows[right].mean()
    width, height = 730, 412  # px of the axes, 0 to 1 each
    assert across / width == pytest.approx(0.2, abs=0.01)
    assert up / height == pytest.approx(0.2, abs=0.02)


def test_the_ring_is_where_the_threshold_leads(tmp_path: Path) -> None:
    # Errors 0, 0, 0.33 and 0.25 at coverages 0.25 to 1.
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    parts = {"test": Predicted(np.array([0, 0, 1, 0]), chances)}
    drawn = []
    for threshold in (0.8, 0.6):
        review = {"wished_error": 0.1, "threshold": threshold}
        figures.coverage_risk_curves(tmp_path / "drawn.png", parts=parts, review=review)
        drawn.append((read(tmp_path / "drawn.png")[:380] == ORANGE).all(axis=2))  # above the legend
    half, whole = drawn
    _, line = np.nonzero(half & whole)
    assert np.nonzero(half & ~whole)[1].mean() == pytest.approx(line.min(), abs=4)  # where the curve leaves the axis
    assert np.nonzero(whole & ~half)[1].mean() == pytest.approx(line.max(), abs=4)
