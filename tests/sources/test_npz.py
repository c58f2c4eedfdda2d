import hashlib
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from wbc.base.params import ParamsError, validate
from wbc.sources.npz import bring
from wbc.sources.params import NpzParams
from wbc.tools.fetch import DownloadError

COUNTS = {"train": 7, "val": 2, "test": 3}


def make(*, channels: tuple[int, ...] = (3,), **changes: Any) -> bytes:
    """Return a file of MedMNIST's format with noise for images and labels that count 0, 1, 2, 0, ..."""
    random = np.random.default_rng(0)
    arrays = {}
    for part, count in COUNTS.items():
        arrays[f"{part}_images"] = random.integers(0, 256, (count, 28, 28, *channels), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count, dtype=np.uint8) % 3)[:, None]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: array for name, array in (arrays | changes).items() if array is not None})
    return buffer.getvalue()


def parameters(path: str, content: bytes) -> NpzParams:
    names = ["basophil", "Immature granulocyte", "PLATELET"]
    return NpzParams(path=path, md5=hashlib.md5(content).hexdigest(), classes=tuple(names))


def bring_from(project: Path, content: bytes) -> Any:
    (project / "cells.npz").write_bytes(content)
    return bring(project / "raw", params=parameters("cells.npz", content))


@pytest.mark.parametrize("channels", [(3,), ()])
def test_every_image_becomes_a_file_with_its_class_and_part(project: Path, channels: tuple[int, ...]) -> None:
    content = make(channels=channels)
    records = bring_from(project, content)
    assert records["part"].value_counts().to_dict() == {"train": 7, "test": 3, "validation": 2}
    assert records.iloc[8][["id", "file", "category", "part"]].tolist() == [
        "validation/000001",
        "images/validation/000001.png",
        "IMMATURE GRANULOCYTE",
        "validation",
    ]
    expected = np.load(io.BytesIO(content))["val_images"][1]
    image = cv2.imread(str(project / "raw" / records.iloc[8]["file"]), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(image[..., ::-1] if channels else image, expected)
    assert len(list((project / "raw").rglob("*.png"))) == 12


def test_from_a_url_and_from_a_mirror(server, answer, project, monkeypatch) -> None:
    content = make()
    server.will("/records/cells.npz?download=1", answer(content, cut=100), answer(content))
    params = parameters(f"{server.url}/records/cells.npz?download=1", content)
    assert len(bring(project / "raw", params=params)) == 12
    assert len(bring(project / "raw", params=params)) == 12
    assert len(server.asked) == 2
    (project / "mirror").mkdir()
    (project / "mirror" / "cells.npz").write_bytes(content)
    monkeypatch.setenv("WBC_MIRROR", "mirror")
    assert len(bring(project / "raw", params=params)) == 12
    assert len(server.asked) == 2
    (project / "mirror" / "cells.npz").write_bytes(make(channels=()))
    with pytest.raises(DownloadError, match="other bytes than expected, MD5"):
        bring(project / "raw", params=params)


def test_what_a_killed_run_left_is_made_anew(project: Path) -> None:
    (project / "raw" / "images" / "train").mkdir(parents=True)
    (project / "raw" / "images" / "train" / "999999.png").touch()
    bring_from(project, make())
    assert len(list((project / "raw").rglob("*.png"))) == 12


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (make(train_labels=np.full((7, 1), 3)), "train_labels holds 3, but sources.npz.classes names 0 to 2"),
        (make(val_labels=np.zeros((5, 1), np.uint8)), "val_images holds 2 images, val_labels 5 labels"),
        (make(test_images=None), "no item named 'test_images.npy'"),
        (make(test_images=np.zeros((3, 28, 28, 3))), r"expected rows of whole numbers, got float64 \(3, 28, 28, 3\)"),
        (make(test_images=np.zeros((3, 28, 28, 4), np.uint8)), r"grey or RGB, got uint8 \(28, 28, 4\)"),
        (make(test_labels=np.array([None] * 3)), "expected rows of whole numbers, got object"),
        (b"PK no archive", "not a zip file"),
    ],
)
def test_a_file_of_another_format(project: Path, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=rf"cells\.npz is not in MedMNIST's format: .*{message}"):
        bring_from(project, content)


def test_a_file_with_other_bytes(project: Path) -> None:
    (project / "cells.npz").write_bytes(make())
    with pytest.raises(ValueError, match=r"sources\.npz\.path: .*cells\.npz: other bytes than expected"):
        bring(project / "raw", params=parameters("cells.npz", b""))


@pytest.mark.parametrize("changes", [{"path": "cells.zip"}, {"md5": "x"}, {"classes": ["A"]}], ids=str)
def test_params_that_do_not_fit(changes: dict) -> None:
    values = {"path": "cells.npz", "md5": "0" * 32, "classes": ["A", "B"]} | changes
    with pytest.raises(ParamsError, match=f"sources.npz.{next(iter(changes))}"):
        validate(NpzParams, values, where="sources.npz")
