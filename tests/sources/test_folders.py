import hashlib
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from wbc.base.params import ParamsError, validate
from wbc.clean.cleaning import clean
from wbc.clean.params import CleanParams
from wbc.sources.archive import ArchiveError
from wbc.sources.folders import bring
from wbc.sources.params import FoldersParams
from wbc.tools.fetch import DownloadError

SUBTYPES = ["bands", "basophils", "blasts", "eosinophils", "lymphocytes", "metamyelocytes", "monocytes", "myelocytes",
            "neutrophils"]  # fmt: skip


def parameters(path: object, **changes: Any) -> FoldersParams:
    defaults = {"path": str(path), "sha256": None, "include": [], "exclude": [], "rename": {}}
    return validate(FoldersParams, defaults | changes, where="sources.folders")


def write_cell(path: Path, *, x: int = 70, dtype: type = np.uint8, channels: int = 3, size: int = 120) -> None:
    """Write a photograph with a violet nucleus at (``x``, 60)."""
    image = np.full((size, size + 40, 3), (215, 225, 230), np.uint8)
    cv2.circle(image, (x, 60), 15, (150, 50, 90), -1)
    if channels == 1:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if channels == 4:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image.astype(dtype) * (257 if dtype == np.uint16 else 1))[1].tobytes())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Nine subtypes, blasts of three images, in train and test folders; among them what does not belong there."""
    root = tmp_path / "own" / "My images"
    for number, name in enumerate(SUBTYPES):
        for image in range(3 if name == "blasts" else 5):
            part = "Test" if image % 3 == 2 else "Train"
            write_cell(root / part / name / f"{image}.png", x=40 + 8 * image + number)
    (root / "Train" / "readme.txt").write_text("no image")
    return root.parent


def test_a_folder(tree: Path, project: Path, capsys: pytest.CaptureFixture) -> None:
    records = bring(project / "raw", params=parameters(tree, exclude=["Basophils"], rename={"bands": "neutrophils"}))
    assert records["category"].value_counts().to_dict() == {
        "NEUTROPHILS": 10,
        "EOSINOPHILS": 5,
        "LYMPHOCYTES": 5,
        "METAMYELOCYTES": 5,
        "MONOCYTES": 5,
        "MYELOCYTES": 5,
        "BLASTS": 3,
    }
    assert records["part"].value_counts().to_dict() == {"train": 30, "test": 8}
    first = records.iloc[0]
    assert first[["id", "file", "part"]].tolist() == ["Test/bands/2", "images/Test/bands/2.png", "test"]
    original = tree / "My images" / "Test" / "bands" / "2.png"
    assert (project / "raw" / first["file"]).read_bytes() == original.read_bytes()
    printed = capsys.readouterr().out
    assert "1 files that are no images are left out, the first My images/Train/readme.txt" in printed
    assert "38 images in test 8, train 30: BLASTS 3, " in printed


def pack_tree(tree: Path, path: Path) -> Path:
    return Path(shutil.make_archive(str(path), {".zip": "zip", ".gz": "gztar"}[path.suffix], root_dir=tree))


@pytest.mark.parametrize("suffix", [".zip", ".gz"])
def test_an_archive_gives_the_same_as_the_folder(tree: Path, project: Path, suffix: str) -> None:
    expected = bring(project / "raw", params=parameters(tree))
    archive = pack_tree(tree, project / f"packed{suffix}")
    records = bring(project / "other", params=parameters(archive.relative_to(project)))
    pd.testing.assert_frame_equal(records, expected)
    contents = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (project / "raw", project / "other")
    ]
    assert contents[0] == contents[1]


def test_a_url_with_its_checksum_also_from_a_mirror(tree, server, answer, project, monkeypatch) -> None:
    archive = pack_tree(tree, project / "packed.zip").read_bytes()
    server.will("/sets/own%20cells.zip", answer(archive))
    params = parameters(f"{server.url}/sets/own%20cells.zip?download=1", sha256=hashlib.sha256(archive).hexdigest())
    server.will("/sets/own%20cells.zip?download=1", answer(archive))
    assert len(bring(project / "raw", params=params)) == 43
    (project / "mirror").mkdir()
    (project / "mirror" / "own cells.zip").write_bytes(archive)
    monkeypatch.setenv("WBC_MIRROR", str(project / "mirror"))
    assert len(bring(project / "raw", params=params)) == 43
    assert len(server.asked) == 1
    (project / "mirror" / "own cells.zip").write_bytes(archive + b" ")
    with pytest.raises(DownloadError, match="other bytes than expected, SHA-256"):
        bring(project / "raw", params=params)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "https://example.org/x.zip"}, "a URL needs the sha256"),
        ({"path": "https://example.org/?x", "sha256": "0" * 64}, "names no file"),
        ({"path": "x.zip", "sha256": "123"}, "sha256"),
    ],
)
def test_params_that_do_not_fit(changes: dict, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        parameters(changes.pop("path"), **changes)


def test_a_path_that_leads_nowhere_and_a_checksum_that_differs(tree: Path, project: Path) -> None:
    with pytest.raises(ValueError, match=r"sources\.folders\.path: .*nowhere does not exist"):
        bring(project / "raw", params=parameters("nowhere"))
    archive = pack_tree(tree, project / "packed.zip")
    with pytest.raises(ValueError, match="other bytes than expected"):
        bring(project / "raw", params=parameters(archive, sha256="0" * 64))
    with pytest.raises(ValueError, match="include names BLAST, but there are only BANDS 5, BASOPHILS 5, BLASTS 3"):
        bring(project / "raw", params=parameters(tree, include=["blast"]))


def make_zip(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return path


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("../A/x.png", b""), r"'\.\./A/x\.png' leads out of the folder"),
        (("/A/x.png", b""), "leads out of the folder"),
        (("A\\..\\..\\x.png", b""), "leads out of the folder"),
        ((link("A/x.png"), b"/etc/passwd"), "'A/x.png' is a link or a device"),
        (("A/x.png", bytes(2**26 + 1)), "'A/x.png' of 67108865 bytes makes the archive too large"),
    ],
    ids=["parent", "absolute", "backslash", "link", "bomb"],
)
def test_a_hostile_zip_is_refused_before_anything_is_written(project: Path, member: tuple, message: str) -> None:
    archive = make_zip(project / "hostile.zip", ("A/good.png", b"x"), member)
    with pytest.raises(ArchiveError, match=f"{message}.*unpack it yourself and set sources.folders.path"):
        bring(project / "raw", params=parameters(archive))
    assert not any((project / "raw").iterdir())
    assert not (project / "A").exists()


def test_zeros_in_many_files_are_refused_before_anything_is_written(project: Path) -> None:
    zeros = bytes(60 * 2**20)
    archive = make_zip(project / "zeros.zip", *((f"A/{number}.png", zeros) for number in range(2)))
    with pytest.raises(ArchiveError) as caught:
        bring(project / "raw", params=parameters(archive))
    assert "'A/1.png' of 62914560 bytes makes the archive too large: at most 100 times the" in str(caught.value)
    assert "unpack it yourself and set sources.folders.path" in str(caught.value)
    assert not any((project / "raw").iterdir())


def test_folders_in_each_other_without_end_are_refused_in_a_line(project: Path) -> None:
    deep = "a/" * 3000 + "x.png"
    archive = make_zip(project / "deep.zip", (deep, b"x"))
    with pytest.raises(ArchiveError, match=r"lies 3000 folders deep, at most 64 are read.*unpack it yourself"):
        bring(project / "raw", params=parameters(archive))
    place = project / "tree"
    for _ in range(66):
        place = place / "a"
        place.mkdir(parents=True)
    with pytest.raises(ValueError, match="a holds more than 64 folders in each other"):
        bring(project / "raw", params=parameters(project / "tree"))


def test_a_zip_whose_member_is_longer_than_announced(project: Path) -> None:
    archive = make_zip(project / "lying.zip", ("A/x.png", bytes(10**6)))
    archive.write_bytes(archive.read_bytes().replace((10**6).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(ArchiveError, match="damaged or locked: Bad CRC-32"):
        bring(project / "raw", params=parameters(archive))


@pytest.mark.parametrize("content", [b"<html>Log in</html>", b"PK\3\4 no zip"])
def test_what_is_no_archive(project: Path, content: bytes) -> None:
    (project / "page.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"page\.zip is damaged"):
        bring(project / "raw", params=parameters("page.zip"))


def test_an_archive_without_an_image(project: Path, capsys: pytest.CaptureFixture) -> None:
    make_zip(project / "packed.zip", ("A/inner.zip", b"x"), ("B/x.heic", b"x"))
    with pytest.raises(ValueError, match=r"packed\.zip: there is no image; the suffixes known are"):
        bring(project / "raw", params=parameters("packed.zip"))
    assert "2 files that are no images are left out, the first A/inner.zip (.heic 1, .zip 1)" in capsys.readouterr().out


def test_a_tar_that_holds_a_zip_is_a_tar(project: Path) -> None:
    write_cell(project / "cell.png")
    make_zip(project / "inner.zip", ("x", b"x"))
    with tarfile.open(project / "packed.tar", "w") as tar:
        tar.add(project / "cell.png", "A/cell.png")
        tar.add(project / "inner.zip", "inner.zip")
    assert bring(project / "raw", params=parameters("packed.tar"))["id"].tolist() == ["A/cell"]


def test_what_a_killed_run_left_is_made_anew(tree: Path, project: Path) -> None:
    (project / "raw" / "unpacked").mkdir(parents=True)
    (project / "raw" / "stale.png").touch()
    bring(project / "raw", params=parameters(tree))
    assert [path.name for path in (project / "raw").iterdir()] == ["images"]


@pytest.fixture
def mixed(project: Path) -> Path:
    """One class with an image of every sort."""
    root = project / "mixed" / "Ly, atypical"
    write_cell(root / "plain.jpg")
    write_cell(root / "grey.tif", channels=1)
    write_cell(root / "deep.png", dtype=np.uint16)
    write_cell(root / "deep grey.tiff", dtype=np.uint16, channels=1)
    write_cell(root / "glass.png", channels=4)
    write_cell(root / "large.bmp", size=400)
    (root / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    return root.parent


def test_group_and_part_reach_the_manifest(tree: Path, project: Path) -> None:
    records = bring(project / "raw", params=parameters(tree, include=["blasts"]))
    records["group"] = ["", "slide 1", "slide 1"]
    params = CleanParams(
        exclude=(), thin={}, crop="cell", window=64, size=(32, 32), greyscale=False, twins=False, contradictions="keep"
    )
    manifest, _, _ = clean(records, raw=project / "raw", cells=project / "cells.npy", params=params, seed=0)
    assert manifest[["id", "group", "part"]].values.tolist() == [
        ["Test/blasts/2", "Test/blasts/2", "test"],
        ["Train/blasts/0", "Train/blasts/0", "train"],
        ["Train/blasts/1", "Train/blasts/0", "train"],
    ]


@pytest.mark.parametrize("crop", ["cell", "whole"])
def test_any_mix_of_formats_goes_through_clean(mixed: Path, project: Path, crop: str) -> None:
    records = bring(project / "raw", params=parameters(mixed))
    params = CleanParams(
        exclude=(), thin={}, crop=crop, window=64, size=(32, 32), greyscale=False, twins=False, contradictions="keep"
    )
    manifest, dropped, _ = clean(records, raw=project / "raw", cells=project / "cells.npy", params=params, seed=0)
    assert dropped[["id", "reason"]].values.tolist() == [["Ly_ atypical/broken", "unreadable"]]
    assert set(manifest["label"]) == {"LY ATYPICAL"}
    assert len(manifest) == 6
    cells = np.load(project / "cells.npy")
    if crop == "cell":
        coloured = manifest["nucleus_area"] > 0
        assert manifest.loc[~coloured, "id"].tolist() == ["Ly_ atypical/deep grey", "Ly_ atypical/grey"]
        assert np.abs(cells[coloured][:, 16, 16].astype(int) - [90, 50, 150]).max() <= 4
