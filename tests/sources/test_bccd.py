import hashlib
import multiprocessing
import shutil
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from wbc.sources.bccd import bring
from wbc.sources.params import BccdParams
from wbc.tools.fetch import DownloadError

COMMIT = "d272fb14cdff6e473fafeeeba32aba5f560e9e43"
ARCHIVE = f"bccd-{COMMIT}.tar.gz"
PARAMS = BccdParams(commit=COMMIT, labels_commit="0b22eb2084b1004d464fb5ab87adc85ab94b2079")


def count(folder: Path) -> dict[str, Any]:
    return {
        "photographs": len(list(folder.glob("JPEGImages/*"))),
        "annotations": len(list(folder.glob("Annotations/*"))),
        "others": sorted(path.name for path in folder.iterdir() if path.is_file()),
    }


WHOLE = {"photographs": 364, "annotations": 364, "others": ["LICENSE", "labels.csv"]}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_from_a_mirror_folder(mirror, project, monkeypatch) -> None:
    monkeypatch.setenv("WBC_MIRROR", str(mirror))
    bring(project / "raw", params=PARAMS)
    assert count(project / "raw") == WHOLE
    assert digest(project / "raw" / "labels.csv") == digest(mirror / "labels.csv")
    assert "Copyright (c) 2017 shenggan" in (project / "raw" / "LICENSE").read_text()
    with tarfile.open(mirror / ARCHIVE) as tar:
        member = tar.extractfile(f"BCCD_Dataset-{COMMIT}/BCCD/JPEGImages/BloodImage_00007.jpg")
        assert (project / "raw" / "JPEGImages" / "BloodImage_00007.jpg").read_bytes() == member.read()
    assert not (project / ".downloads").exists()


def test_from_a_server_that_fails_first_and_then_never_again(mirror, server, answer, project, monkeypatch) -> None:
    monkeypatch.setenv("WBC_MIRROR", server.url)
    archive = (mirror / ARCHIVE).read_bytes()
    server.will(f"/{ARCHIVE}", answer(archive, cut=100_000), answer(archive))
    server.will("/labels.csv", answer((mirror / "labels.csv").read_bytes()))
    bring(project / "raw", params=PARAMS)
    assert count(project / "raw") == WHOLE
    assert server.asked == [f"/{ARCHIVE}", f"/{ARCHIVE}", "/labels.csv"]
    shutil.rmtree(project / "raw")
    bring(project / "raw", params=PARAMS)
    assert count(project / "raw") == WHOLE
    assert len(server.asked) == 3


def test_a_whole_folder_is_neither_fetched_nor_written_again(mirror, server, project, monkeypatch) -> None:
    monkeypatch.setenv("WBC_MIRROR", str(mirror))
    bring(project / "raw", params=PARAMS)
    before = {path: path.stat().st_ino for path in (project / "raw").rglob("*")}
    monkeypatch.setenv("WBC_MIRROR", server.url)
    bring(project / "raw", params=PARAMS)
    assert server.asked == []
    assert {path: path.stat().st_ino for path in (project / "raw").rglob("*")} == before


def test_a_killed_run_is_carried_on(mirror, project, monkeypatch) -> None:
    monkeypatch.setenv("WBC_MIRROR", str(mirror))
    raw = project / "raw"
    killed = multiprocessing.get_context("spawn").Process(target=bring, args=(raw,), kwargs={"params": PARAMS})
    killed.start()
    while killed.is_alive() and len(list(raw.glob("*/BloodImage_*"))) < 2:
        time.sleep(0.001)
    killed.kill()
    killed.join()
    done = {path: path.stat().st_ino for path in raw.glob("*/BloodImage_*")}  # not the one that was being written
    half = min(done)
    del done[half]
    half.write_bytes(half.read_bytes()[:1000])
    bring(raw, params=PARAMS)
    assert count(raw) == WHOLE
    assert {path: path.stat().st_ino for path in done} == done
    assert half.stat().st_size > 1000


@pytest.mark.parametrize("bad", ["truncated", "page", "wrong file", "symlink"])
def test_a_bad_archive_in_the_cache_is_replaced(mirror, server, answer, project, monkeypatch, pack, bad) -> None:
    good = (mirror / ARCHIVE).read_bytes()
    link = tarfile.TarInfo("x")
    link.type = tarfile.SYMTYPE
    content = {
        "truncated": good[:100_000],
        "page": b"<html>Log in</html>",
        "wrong file": pack((f"BCCD_Dataset-{COMMIT}/LICENSE", b"other")).read_bytes(),
        "symlink": pack(link).read_bytes(),
    }[bad]
    (project / ".downloads").mkdir()
    (project / ".downloads" / ARCHIVE).write_bytes(content)
    monkeypatch.setenv("WBC_MIRROR", server.url)
    server.will(f"/{ARCHIVE}", answer(good))
    server.will("/labels.csv", answer((mirror / "labels.csv").read_bytes()))
    bring(project / "raw", params=PARAMS)
    assert count(project / "raw") == WHOLE
    assert server.asked == [f"/{ARCHIVE}", "/labels.csv"]


def test_a_repacked_archive_with_the_same_files_is_fine(mirror, project, monkeypatch) -> None:
    with tarfile.open(mirror / ARCHIVE) as old, tarfile.open(project / ARCHIVE, "w:gz", compresslevel=1) as new:
        for member in old:
            member.name = member.name.replace(f"BCCD_Dataset-{COMMIT}", "BCCD_Dataset-renamed")
            new.addfile(member, old.extractfile(member))
    shutil.copy(mirror / "labels.csv", project)
    monkeypatch.setenv("WBC_MIRROR", str(project))
    bring(project / "raw", params=PARAMS)
    assert count(project / "raw") == WHOLE


def test_a_hostile_archive_that_stays_is_one_clear_line(server, answer, project, monkeypatch, pack) -> None:
    monkeypatch.setenv("WBC_MIRROR", server.url)
    server.will(f"/{ARCHIVE}", answer(pack(("../../.bashrc", b"x")).read_bytes()))
    with pytest.raises(DownloadError) as caught:
        bring(project / "raw", params=PARAMS)
    line = str(caught.value).splitlines()[0]
    url = f"https://github.com/Shenggan/BCCD_Dataset/archive/{COMMIT}.tar.gz"
    assert line.startswith(f"cannot get {ARCHIVE} from {server.url}/{ARCHIVE} (instead of {url}): ")
    assert "'../../.bashrc' leads out of the folder" in line
    assert "set WBC_MIRROR" in line
    assert "-S data.source=smears" in line
    assert len(server.asked) == 2
    assert not (project / "raw").exists()


def test_wrong_files_are_named(server, answer, project, monkeypatch, pack) -> None:
    monkeypatch.setenv("WBC_MIRROR", server.url)
    server.will(f"/{ARCHIVE}", answer(pack((f"BCCD_Dataset-{COMMIT}/LICENSE", b"other")).read_bytes()))
    with pytest.raises(DownloadError, match=r"729 of 729 files .* first Annotations/BloodImage_00000\.xml"):
        bring(project / "raw", params=PARAMS)


def test_wrong_labels_in_the_mirror_are_named(mirror, project, monkeypatch) -> None:
    shutil.copy(mirror / ARCHIVE, project)
    (project / "labels.csv").write_text(",Image,Category\n,0,MONOCYTE\n")
    monkeypatch.setenv("WBC_MIRROR", str(project))
    with pytest.raises(DownloadError, match=r"labels\.csv from .*instead of https://raw\.github.*other bytes"):
        bring(project / "raw", params=PARAMS)
    assert not (project / "raw" / "labels.csv").exists()
