import base64
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.locks import write_lock
from wbc.cards.report import write_report
from wbc.cards.results import read_results


class Page(HTMLParser):
    """The images, links and headings of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.images += [value or "" for name, value in attrs if tag == "img" and name == "src"]
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src") and tag != "img"]


def written(folder: Path, *, name: str = "commit 1234") -> str:
    write_report(folder / "report.html", read_results(), name=name)
    return (folder / "report.html").read_text()


def pixels(uri: str) -> np.ndarray:
    content = base64.b64decode(uri.partition("base64,")[2])
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def test_the_page_needs_nothing_but_itself(recorded: Path) -> None:
    text = written(recorded)
    page = Page(text)
    assert page.addresses == []
    assert not re.search(r"https?://|url\(|@import|<script", text)
    assert [uri.partition(";")[0] for uri in page.images] == ["data:image/png", "data:image/jpeg", "data:image/png"]


def test_every_figure_is_on_it_a_large_one_as_jpeg(recorded: Path) -> None:
    uris = Page(written(recorded)).images
    original = cv2.imread(str(recorded / "metrics/figures/evaluate/confusion_matrix.png"))
    assert np.array_equal(pixels(uris[0]), original)
    gallery = recorded / "metrics/figures/suspects/gallery.png"
    assert pixels(uris[1]).shape == cv2.imread(str(gallery)).shape
    assert len(uris[1]) < gallery.stat().st_size
    assert "later/unheard_of" in written(recorded)


def test_scores_mistakes_digests_and_parameters_are_on_it(recorded: Path) -> None:
    text = " ".join(re.sub(r"<(?!style)[^>]+>", " ", written(recorded).partition("<body>")[2]).split())
    assert text.startswith("efficientnet_lite0 on bccd Not for diagnosis.")
    assert "run commit 1234 model efficientnet_lite0, 1,234,567 parameters" in text
    assert "models/model.keras MD5 abcdef" in text
    assert "accuracy 0.800 (" in text
    assert "class test images sensitivity specificity PPV F1 AUROC A 3 0.67 (" in text
    assert "models.efficientnet_lite0.learning_rate 0.0002" in text
    assert "train.class_weights false" in text  # as params.yaml writes it
    assert "models.vgg16" not in text


def test_text_from_files_is_no_markup(recorded: Path) -> None:
    predictions = recorded / "metrics" / "predictions.csv"
    predictions.write_text(predictions.read_text().replace("three", "<b>three</b>"))
    write_lock(recorded)
    (recorded / "metrics/figures/explain").mkdir()
    cv2.imwrite(str(recorded / "metrics/figures/explain/evidence.png"), np.zeros((4, 4, 3), np.uint8))
    text = written(recorded, name="<i>experiment</i>")
    assert "&lt;b&gt;three&lt;/b&gt;" in text
    assert "<i>experiment" not in text


def test_random_weights_and_a_leaky_split_are_said_aloud(recorded: Path) -> None:
    for name, changes in {"train": {"weights_used": "random"}, "split": {"strategy": "leaky"}}.items():
        path = recorded / "metrics" / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    write_lock(recorded)
    text = written(recorded)
    assert "<strong>random weights</strong>" in text
    assert "<strong>leaky</strong>" in text


def test_figures_of_a_stage_that_made_them_for_another_run_are_not_on_it(recorded: Path) -> None:
    (recorded / "metrics/figures/explain").mkdir()
    cv2.imwrite(str(recorded / "metrics/figures/explain/evidence.png"), np.zeros((4, 4, 3), np.uint8))
    text = written(recorded)
    assert "What in the image speaks for the prediction" in text
    assert "Labels in doubt" in text

    write_lock(recorded, explain={"seed": 5}, suspects={"threads": 5})
    (recorded / "metrics/suspects.csv").unlink()

    text = written(recorded)
    assert "What in the image speaks for the prediction" not in text
    assert "Labels in doubt" not in text


def test_the_validation_accuracy_says_what_it_is_of(recorded: Path) -> None:
    params = recorded / "params.yaml"
    averaged = "accuracy of 0.875, its probabilities being the mean of 8 orientations of each image; the curves are"
    (recorded / "metrics/figures/augment").mkdir()
    cv2.imwrite(str(recorded / "metrics/figures/augment/views.png"), np.zeros((4, 4, 3), np.uint8))
    assert averaged in " ".join(written(recorded).split())

    params.write_text(params.read_text().replace("  views: 8 ", "  views: 1 "))

    assert "a validation accuracy of 0.875.</p>" in " ".join(written(recorded).split())


@pytest.mark.slow
def test_an_earlier_revision_is_reported_from_git(recorded: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_"))}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "DVC_NO_ANALYTICS": "1"}

    def run(*command: str) -> str:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("git", "init", "--quiet")
    (recorded / "dvc.yaml").write_text("stages: {check: {cmd: nothing}}")
    run("dvc", "init", "--quiet")
    run("git", "add", ".")
    run("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "--message=a run")
    (recorded / "metrics" / "evaluation.json").write_text("{}")
    (recorded / "params.yaml").write_text("model: another")

    assert run("wbc", "report", "--experiment", "HEAD", "--output", "earlier.html") == (
        "written to earlier.html: HEAD, model efficientnet_lite0-abcdef\n"
    )
    text = (recorded / "earlier.html").read_text()
    assert "<dt>run</dt><dd>HEAD</dd>" in text
    assert "accuracy<b>0.800</b>" in text
    assert "models.efficientnet_lite0.head" in text
