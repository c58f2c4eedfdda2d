import hashlib
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from wbc.tools.fetch import DownloadError, fetch

CONTENT = b"Image,Category\n7,NEUTROPHIL\n" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def get(url: str, **options: Any) -> Path:
    return fetch(url, **{"name": "labels.csv", "timeout": 5.0, "pause": 0.01, **options})


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_file_is_kept_in_the_cache_and_not_asked_for_again(server, answer, project) -> None:
    server.will("/labels.csv", answer(CONTENT))
    path = get(f"{server.url}/labels.csv", known_hash=SHA256)
    assert path == project / ".downloads" / "labels.csv"
    assert path.read_bytes() == CONTENT
    assert get(f"{server.url}/labels.csv", known_hash=SHA256) == path
    assert server.asked == ["/labels.csv"]
    assert files(project) == [".downloads/labels.csv"]


def test_a_wrong_file_in_the_cache_is_replaced(server, answer, project) -> None:
    server.will("/labels.csv", answer(CONTENT))
    (project / ".downloads").mkdir()
    (project / ".downloads" / "labels.csv").write_bytes(b"of another commit")
    assert get(f"{server.url}/labels.csv", known_hash=SHA256).read_bytes() == CONTENT


def test_fresh_asks_again_for_a_file_in_the_cache(server, answer, project) -> None:
    server.will("/labels.csv", answer(b"old"), answer(b"new"))
    assert get(f"{server.url}/labels.csv").read_bytes() == b"old"
    assert get(f"{server.url}/labels.csv").read_bytes() == b"old"
    assert get(f"{server.url}/labels.csv", fresh=True).read_bytes() == b"new"


@pytest.mark.parametrize("known_hash", [SHA256, None])
@pytest.mark.parametrize(
    "trouble",
    [{"status": 500}, {"status": 503}, {"status": 429}, {"body": CONTENT, "cut": 1000}, {"body": CONTENT, "cut": 0}],
    ids=str,
)
def test_a_trouble_that_passes_is_tried_again(server, answer, project, trouble, known_hash) -> None:
    server.will("/labels.csv", answer(**trouble), answer(**trouble), answer(CONTENT))
    assert get(f"{server.url}/labels.csv", known_hash=known_hash).read_bytes() == CONTENT
    assert len(server.asked) == 3
    assert files(project) == [".downloads/labels.csv"]


def test_a_stall_is_cut_off_and_tried_again(server, answer, project) -> None:
    server.will("/labels.csv", answer(CONTENT, cut=1000, stall=30.0), answer(CONTENT))
    start = time.monotonic()
    assert get(f"{server.url}/labels.csv", timeout=0.3).read_bytes() == CONTENT
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("known_hash", [f"md5:{hashlib.md5(CONTENT).hexdigest()}", f"sha256:{SHA256}"])
def test_the_hash_may_name_its_algorithm(server, answer, project, known_hash) -> None:
    server.will("/labels.csv", answer(CONTENT))
    assert get(f"{server.url}/labels.csv", known_hash=known_hash).read_bytes() == CONTENT


def test_a_wrong_md5_is_named_as_such(server, answer, project) -> None:
    server.will("/labels.csv", answer(b"other"))
    with pytest.raises(DownloadError, match=f"MD5 {hashlib.md5(b'other').hexdigest()} instead of {32 * '0'}"):
        get(f"{server.url}/labels.csv", known_hash=f"md5:{32 * '0'}", attempts=1)


def test_other_bytes_that_pass_are_tried_again(server, answer, project) -> None:
    server.will("/labels.csv", answer(b"<html>Log in to the hotel's network</html>"), answer(CONTENT))
    assert get(f"{server.url}/labels.csv", known_hash=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("trouble", "reason", "asked"),
    [
        ({"status": 500}, "HTTP 500 Internal Server Error", 4),
        ({"status": 404}, "HTTP 404 Not Found", 1),
        ({"body": CONTENT, "cut": 1000}, "the transfer broke off", 4),
        ({"body": CONTENT, "cut": 1000, "stall": 30.0}, "no answer for 0.3 s", 4),
        ({"body": b"other"}, f"SHA-256 {hashlib.sha256(b'other').hexdigest()} instead of {SHA256}", 4),
    ],
    ids=["500", "404", "truncated", "stalled", "other bytes"],
)
def test_a_trouble_that_stays_is_one_clear_line(server, answer, project, trouble, reason, asked) -> None:
    server.will("/labels.csv", answer(**trouble))
    with pytest.raises(DownloadError) as caught:
        get(f"{server.url}/labels.csv", known_hash=SHA256, timeout=0.3)
    line = str(caught.value).splitlines()[0]
    assert line.startswith(f"cannot get labels.csv from {server.url}/labels.csv: ")
    assert reason in line
    assert "WBC_MIRROR" in line
    assert "-S data.source=smears" in line
    assert len(server.asked) == asked
    assert files(project) == []


def test_the_waits_between_attempts_double(server, answer, project, capsys) -> None:
    server.will("/labels.csv", answer(status=500))
    with pytest.raises(DownloadError):
        get(f"{server.url}/labels.csv")
    assert capsys.readouterr().err.splitlines() == [
        f"labels.csv: HTTP 500 Internal Server Error; trying again in {wait} s" for wait in ("0.01", "0.02", "0.04")
    ]


def test_offline_is_one_clear_line(project) -> None:
    with pytest.raises(DownloadError, match=r"^cannot get labels\.csv from http://127.*:9/x: no connection .*WBC"):
        get("http://127.0.0.1:9/x")


@pytest.fixture
def silent_server():
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/x"


def test_a_server_that_does_not_answer_at_all_is_not_waited_for(silent_server, project) -> None:
    start = time.monotonic()
    with pytest.raises(DownloadError, match=rf"^cannot get .* {silent_server}: no answer (within|for) 0\.3 s\."):
        get(silent_server, within=0.3)
    assert time.monotonic() - start < 3


def test_a_server_that_answers_is_asked_for_the_file(server, answer, project) -> None:
    server.will("/labels.csv", answer(status=500), answer(CONTENT))
    assert get(f"{server.url}/labels.csv", within=5.0).read_bytes() == CONTENT


def test_the_other_way_out_is_the_callers(project) -> None:
    with pytest.raises(DownloadError, match=r"holds labels\.csv, or do without$"):
        get("http://127.0.0.1:9/x", attempts=1, otherwise="do without")


def test_the_mirror_may_be_passed_over(server, answer, project, monkeypatch) -> None:
    monkeypatch.setenv("WBC_MIRROR", str(project))
    server.will("/labels.csv", answer(CONTENT))
    assert get(f"{server.url}/labels.csv", mirror=False).read_bytes() == CONTENT


def test_a_mirror_url_stands_in_for_the_network(server, answer, project, monkeypatch) -> None:
    monkeypatch.setenv("WBC_MIRROR", f"{server.url}/mirror/")
    server.will("/mirror/labels.csv", answer(CONTENT))
    assert get("https://example.invalid/deep/labels.csv", known_hash=SHA256).read_bytes() == CONTENT
    assert server.asked == ["/mirror/labels.csv"]


def test_a_mirror_folder_is_read_in_place(project, monkeypatch) -> None:
    (project / "mirror").mkdir()
    (project / "mirror" / "labels.csv").write_bytes(CONTENT)
    monkeypatch.setenv("WBC_MIRROR", str(project / "mirror"))
    assert get("https://example.invalid/x", known_hash=SHA256) == project / "mirror" / "labels.csv"
    assert files(project) == ["mirror/labels.csv"]


def test_a_relative_mirror_folder_starts_at_the_project(project, monkeypatch) -> None:
    elsewhere = project / ".dvc" / "tmp" / "exps" / "clone"
    elsewhere.mkdir(parents=True)
    (project / "mirror").mkdir()
    (project / "mirror" / "labels.csv").write_bytes(CONTENT)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("WBC_MIRROR", "mirror")
    assert get("https://example.invalid/x", known_hash=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize(("content", "reason"), [(None, "there is no such file"), (b"other", "other bytes")])
def test_a_mirror_folder_without_the_right_file(project, monkeypatch, content, reason) -> None:
    mirror = project / "mirror"
    mirror.mkdir()
    if content is not None:
        (mirror / "labels.csv").write_bytes(content)
    monkeypatch.setenv("WBC_MIRROR", str(mirror))
    with pytest.raises(DownloadError) as caught:
        get("https://example.invalid/x", known_hash=SHA256, fresh=True)
    line = str(caught.value)
    assert line.startswith(f"cannot get labels.csv from {mirror / 'labels.csv'} (instead of https://example.invalid/x)")
    assert reason in line
    assert [path.read_bytes() for path in mirror.iterdir()] == ([] if content is None else [content])


def test_two_processes_download_a_file_once(server, answer, project) -> None:
    server.will("/labels.csv", answer(CONTENT, cut=1000, stall=1.0), answer(CONTENT))
    code = "import sys; from wbc.tools.fetch import fetch; fetch(sys.argv[1], name='labels.csv', pause=0.01)"
    both = [subprocess.Popen([sys.executable, "-c", code, f"{server.url}/labels.csv"], cwd=project) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert server.asked == ["/labels.csv"] * 2  # the first answer breaks off
    assert files(project) == [".downloads/labels.csv"]
    assert (project / ".downloads" / "labels.csv").read_bytes() == CONTENT
