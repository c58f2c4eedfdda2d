import numpy as np
import pytest

from wbc.evaluate.differential import counting_limits, differential_count
from wbc.scores.predictions import Predicted

CLASSES = ["EOSINOPHIL", "LYMPHOCYTE", "NEUTROPHIL"]


def test_shares_and_their_difference_by_hand() -> None:
    # Ten images: three of four eosinophils are called so, and two of six neutrophils are called eosinophil.
    truth = np.array([0] * 4 + [2] * 6)
    prediction = np.array([0] * 3 + [2] + [2] * 4 + [0] * 2)
    shares = differential_count(
        Predicted(truth, np.eye(3)[prediction]), groups=[str(i) for i in range(10)], classes=CLASSES
    )
    eosinophil = shares["EOSINOPHIL"]
    assert (eosinophil["true"], eosinophil["predicted"]) == (0.4, 0.5)
    assert eosinophil["difference"] == pytest.approx(0.1)
    # False alarms less misses of ten draws with chances 0.2 and 0.1: below -2 in 1.8 %, above 4 in 1.9 %.
    assert (eosinophil["difference_low"], eosinophil["difference_high"]) == pytest.approx((-0.2, 0.4))
    assert shares["NEUTROPHIL"]["difference_low"] == pytest.approx(-eosinophil["difference_high"])
    assert shares["LYMPHOCYTE"] == dict.fromkeys(eosinophil, 0.0)


def test_copies_of_an_image_make_the_interval_no_narrower() -> None:
    truth, prediction = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    groups = ["a", "b", "c", "d"]
    once, copied = (
        differential_count(
            Predicted(np.repeat(truth, times), np.eye(2)[np.repeat(prediction, times)]),
            groups=np.repeat(groups, times).tolist(),
            classes=["A", "B"],
        )
        for times in (1, 50)
    )
    assert copied["A"] == pytest.approx(once["A"])


@pytest.mark.parametrize(
    ("percent", "cells", "limits"),
    [
        (0, 100, (0, 4)),  # 1 - 0.025 ** (1 / 100) = 3.6 %
        (100, 100, (96, 100)),
        (0, 1000, (0, 1)),  # 1 - 0.025 ** (1 / 1000) = 0.4 %
        (50, 100, (39, 61)),  # 39.8 to 60.2 %, Clopper & Pearson
    ],
)
def test_what_chance_allows_a_count(percent: int, cells: int, limits: tuple[int, int]) -> None:
    assert counting_limits(percent, cells=cells) == limits
