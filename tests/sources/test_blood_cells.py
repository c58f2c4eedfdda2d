from pathlib import Path

import pytest

from wbc.clean.examine import examine
from wbc.clean.params import CleanParams
from wbc.sources import blood_cells
from wbc.sources.blood_cells import bring
from wbc.sources.params import BloodCellsParams
from wbc.tools.fetch import DownloadError

COMMIT = "0b22eb2084b1004d464fb5ab87adc85ab94b2079"
ARCHIVE = f"wbc-classification-{COMMIT}.tar.gz"
TOP = f"wbc-classification-{COMMIT}"
FULL = BloodCellsParams(commit=COMMIT, archive="full")
SAMPLE = BloodCellsParams(commit=COMMIT, archive="train_sample")


@pytest.fixture
def packed(pack, project: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """An archive of the full one's layout, small."""
    monkeypatch.setattr(blood_cells, "COUNTS", {"full": {"train": 2, "test": 1}})
    files = [
        "images/TRAIN/MONOCYTE/_1_2.jpeg",
        "images/TRAIN/NEUTROPHIL/_1_2.jpeg",
        "images/TEST/NEUTROPHIL/_1_2.jpeg",
        "images/TEST_SIMPLE/NEUTROPHIL/_1_2.jpeg",
        "images/TRAIN/.DS_Store",
        "Original_Images/x.jpeg",
        "labels.csv",
    ]
    return pack(*[(f"{TOP}/{file}", file.encode()) for file in files]).read_bytes()


def test_train_and_test_of_the_full_archive(packed, server, answer, project, monkeypatch) -> None:
    monkeypatch.setenv("WBC_MIRROR", server.url)
    server.will(f"/{ARCHIVE}", answer(packed))
    records = bring(project / "raw", params=FULL)
    assert records[["id", "category", "part"]].values.tolist() == [
        ["TEST/NEUTROPHIL/_1_2", "NEUTROPHIL", "test"],
        ["TRAIN/MONOCYTE/_1_2", "MONOCYTE", "train"],
        ["TRAIN/NEUTROPHIL/_1_2", "NEUTROPHIL", "train"],
    ]
    for file in records["file"]:
        assert (project / "raw" / file).read_bytes() == file.encode()
    assert len(list((project / "raw").rglob("*.*"))) == 3


def test_a_bad_archive_is_fetched_again_and_then_refused(packed, server, answer, project, monkeypatch) -> None:
    monkeypatch.setenv("WBC_MIRROR", server.url)
    server.will(f"/{ARCHIVE}", answer(packed[:200]), answer(packed))
    assert len(bring(project / "raw", params=FULL)) == 3
    monkeypatch.setattr(blood_cells, "COUNTS", {"full": {"train": 3, "test": 1}})
    with pytest.raises(DownloadError, match=r"expected \{'train': 3, 'test': 1\} images, found .*set WBC_MIRROR"):
        bring(project / "raw", params=FULL)
    assert len(server.asked) == 3


def test_the_sample_is_in_mirrors_only(project: Path) -> None:
    with pytest.raises(DownloadError, match=r"the sample is in mirrors only.*-S sources\.blood_cells\.archive=full"):
        bring(project / "raw", params=SAMPLE)


def test_cells_are_found_in_rotated_copies_with_black_corners(mirror, project, monkeypatch) -> None:
    monkeypatch.setenv("WBC_MIRROR", str(mirror))
    if not (mirror / f"wbc-classification-{COMMIT}-train-sample.tar.gz").exists():
        pytest.skip("no sample of blood_cells in the mirror")
    records = bring(project / "raw", params=SAMPLE)
    assert records["category"].value_counts().to_dict() == dict.fromkeys(
        ["EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL"], 250
    )
    assert set(records["part"]) == {"train"}
    params = CleanParams(
        exclude=(), thin={}, crop="cell", window=120, size=(32, 32), greyscale=False, twins=False, contradictions="keep"
    )
    for file in records["file"][::25]:
        nucleus = examine(project / "raw" / file, params=params).nucleus
        assert 400 < nucleus.area < 9000, file  # px; looked at: in the cell in all 80 of a wider sample
