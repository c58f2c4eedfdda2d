"""A stand-in for the network, a real HTTP server that misbehaves as told, and a project of its own for a test."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from wbc.models.params import BackboneParams

from tests.locks import write_lock

settings.register_profile("untimed", deadline=None)  # a busy machine is not a fault
settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one finished pipeline on one worker of `make test-slow`: it takes minutes to make."""
    for item in items:
        if "finished" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("finished"))


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder that stands in for the network: WBC_MIRROR if it is a folder, else ../shared/mirror, else skip."""
    project = Path(__file__).parents[1]
    named = os.environ.get("WBC_MIRROR")
    for folder in ([project / named] if named else []) + [project.parent / "shared" / "mirror"]:
        if folder.is_dir():
            return folder
    pytest.skip("no mirror folder: set WBC_MIRROR")


@dataclass(frozen=True)
class Answer:
    """One response: ``body`` announced in full, ``cut`` bytes of it sent, then silence for ``stall`` seconds."""

    body: bytes = b""
    status: int = 200
    cut: int | None = None
    stall: float = 0.0


@dataclass
class Server:
    """The address, the answers for each path in turn (the last for ever) and the paths asked for so far."""

    url: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def will(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            planned = told.answers.get(self.path, [Answer(status=404)])
            answer = planned.pop(0) if len(planned) > 1 else planned[0]
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut])
            self.wfile.flush()
            closing.wait(answer.stall)

        def log_message(self, *arguments: object) -> None:
            """Keep the test output clean."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Server(url=f"http://127.0.0.1:{http.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield told
    closing.set()
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder, with neither DVC nor a mirror in the environment."""
    monkeypatch.delenv("WBC_MIRROR", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: what the stages leave of a small run, with params.yaml as it is, and two figures."""
    import cv2
    import numpy as np
    import pandas as pd

    from wbc.base.files import write_csv, write_json
    from wbc.scores.predictions import predictions_table
    from wbc.scores.scores import evaluate_with_intervals

    classes, truth = ["A", "B"], np.array([0, 0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.1, 0.9]])
    groups = ["g1", "g1", "g2", "g3", "g4"]
    parts = {part: {"images": 5, "groups": 4, "classes": {"A": 3, "B": 2}} for part in ("train", "validation", "test")}
    training = {
        **{
            "model": "efficientnet_lite0",
            "classes": classes,
            "weights_requested": "imagenet",
            "weights_used": "imagenet",
        },
        **{
            "origin": "a package",
            "networks": 1,
            "epochs": 8,
            "best_epoch": 6,
            "validation_loss": 0.5,
            "validation_accuracy": 0.875,
        },
        **{"parameters": 1234567, "trainable_parameters": 7654},
    }
    twins = {"pairs": 3, "copy": 0, "same_cell": 2, "overlap": 1, "groups": 1, "grouped_images": 4}
    cleaned = {
        **{"records": 9, "kept": 5, "labelled": {"A": 4, "B": 3}, "classes": {"A": 3, "B": 2}, "twins": twins},
        **{"reasons": {"missing_file": 2}, "fewer_boxes_than_labels": 1, "flags": {"cut_by_frame": 2}},
        "located": {"boxed": 4, "inside": 4, "rate": 1.0},
    }
    contents = {
        "evaluation": {
            "split_strategy": "grouped",
            **evaluate_with_intervals(truth, probabilities, groups=groups, classes=classes),
        },
        "train": training,
        "clean": cleaned,
        "split": {"strategy": "grouped", **parts, "notes": ["class B has 2 images"]},
        "augment": {"images": 40, "classes": {}},
        "external": {},
    }
    metrics = tmp_path / "metrics"
    for name, content in contents.items():
        write_json(metrics / f"{name}.json", content)
    identifiers = ["one", "two", "three", "four", "five"]
    write_csv(metrics / "predictions.csv", predictions_table(identifiers, groups, truth, probabilities, classes))
    write_csv(
        metrics / "suspects.csv", pd.DataFrame({"id": ["two"], "label": ["A"], "looks_like": ["B"], "margin": [-0.5]})
    )
    for figure, side in {"evaluate/confusion_matrix": 8, "suspects/gallery": 400, "later/unheard_of": 8}.items():
        (metrics / "figures" / figure).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        cv2.imwrite(str(metrics / "figures" / f"{figure}.png"), noise)
    (tmp_path / "params.yaml").write_text((Path(__file__).parents[1] / "params.yaml").read_text())
    write_lock(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def backbone_params() -> "Callable[..., BackboneParams]":
    """Parameters of a backbone, less those that a test names."""
    from wbc.models.params import BackboneParams

    def params(**changes: Any) -> BackboneParams:
        block = {
            "input": (64, 64),
            "weights": "imagenet",
            "head": "pooled",
            "trainable": "all but batch norm",
            "dropout": 0.3,
            "l2": 0.01,
            "optimizer": "adam",
            "learning_rate": 0.001,
            "batch_size": 4,
            "epochs": 1,
        }
        return BackboneParams.model_validate(block | changes)

    return params
