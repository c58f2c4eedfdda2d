"""A stand-in for the network, a real HTTP server that misbehaves as told, and a project of its own for a test."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


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
