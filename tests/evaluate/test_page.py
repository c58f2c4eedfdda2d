import numpy as np

from wbc.evaluate.differential import differential_count
from wbc.evaluate.page import render_evaluation
from wbc.evaluate.review import score_review
from wbc.scores.predictions import Predicted
from wbc.scores.scores import evaluate_with_intervals, score_by_flag

CLASSES = ["EOSINOPHIL", "NEUTROPHIL"]
CHANCES = np.array([[0.9, 0.1]] * 6 + [[0.2, 0.8]] * 12 + [[0.6, 0.4]] * 2)
TEST = Predicted(np.array([0] * 6 + [1] * 14), CHANCES)  # two of fourteen neutrophils are called eosinophil


def page(*, groups: list[str], wished_error: float | None) -> str:
    return render_evaluation(
        {
            **evaluate_with_intervals(*TEST, groups=groups, classes=CLASSES),
            "differential": differential_count(TEST, groups=groups, classes=CLASSES),
            "by_flag": score_by_flag(TEST, flags=["cut_by_frame;too_dark"] + [""] * 19, groups=groups),
            "review": score_review(TEST, TEST, groups=groups, wished_error=wished_error),
        }
    )


def test_the_page_reads_as_a_laboratory_would() -> None:
    lines = page(groups=[str(i) for i in range(20)], wished_error=0.05).splitlines()
    assert lines[0] == "# The test part: 20 images in 20 groups"
    assert "| class | n | sensitivity | specificity | PPV | F1 | AUROC |" in lines
    # Wilson: 6 of 6 from 6 / (6 + 1.96 ** 2) = 0.61 on.
    [eosinophil] = [line for line in lines if line.startswith("| EOSINOPHIL | 6 |")]
    assert eosinophil.startswith("| EOSINOPHIL | 6 | 1.00 (0.61 to 1.00) | 0.86 (0.")
    ppv, f1 = eosinophil.split(" | ")[4:6]
    assert ppv.startswith("0.75 (0.")  # 6 of 8 called eosinophil
    assert f1.startswith("0.86 (0.")  # 12 of 14
    assert " | 1.00 (0." in eosinophil  # AUROC, without an error
    assert eosinophil.endswith(" to 1.00) |")
    [shares] = [line for line in lines if line.startswith("| EOSINOPHIL | 30.0 | 40.0 | +10.0 (+0.0 to +25.0)")]
    assert shares.endswith("| 21 to 40 |")  # Clopper & Pearson: 21.2 to 40.0 % at 30 of 100
    assert "| cut_by_frame | 1 | 0 | 1.00 (0.21 to 1.00) |" in lines
    assert "| too_dark | 1 | 0 | 1.00 (0.21 to 1.00) |" in lines
    assert any(line.startswith("| unflagged | 19 | 2 | 0.89 (") for line in lines)
    assert any(line.startswith("Review: 2 predictions with a confidence below 0.800 are marked") for line in lines)
    assert not any("as one" in line for line in lines)


def test_images_of_one_group_are_told_apart_from_images() -> None:
    text = page(groups=["twin"] * 2 + [str(i) for i in range(18)], wished_error=None)
    assert "# The test part: 20 images in 19 groups" in text
    assert "Images of one group and class as one, 19 in all: accuracy 0.895" in text
    assert "Review: no prediction is marked for review: evaluate.wished_error is null." in text
