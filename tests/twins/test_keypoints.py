from pathlib import Path

import cv2
import numpy as np

from wbc.sources.drawing import draw_smear
from wbc.twins.keypoints import build_index, find_keypoints, mirror, open_index


def save(path: Path, *, width: int, height: int, number: int = 1) -> Path:
    image, _ = draw_smear(seed=5, number=number, classes=["NEUTROPHIL"], width=width, height=height)
    image[:20, :30] = 0
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def test_photographs_are_compared_at_one_size_and_black_corners_are_unseen(tmp_path: Path) -> None:
    seen = find_keypoints(save(tmp_path / "a.png", width=480, height=360))
    assert seen.size == (480, 360)
    assert seen.image.shape == (180, 240)
    assert seen.image[:10, :15].max() == 0
    assert seen.image[30:, 30:].min() > 0
    assert 100 < len(seen.keypoints.places) == len(seen.keypoints.descriptors) <= 256
    assert (seen.keypoints.places[:, :2] > (15, 10)).any(axis=1).all()


def test_the_index_keeps_photographs_of_any_size(tmp_path: Path) -> None:
    files = [
        save(tmp_path / "a.png", width=320, height=240),
        save(tmp_path / "b.png", width=240, height=320, number=2),
        tmp_path / "c.png",
    ]
    files[2].write_bytes(b"no image")
    build_index(files, folder=tmp_path)
    index = open_index(tmp_path)
    for number, file in enumerate(files):
        seen, kept = find_keypoints(file), index.keypoints(number)
        np.testing.assert_array_equal(index.image(number), seen.image)
        np.testing.assert_array_equal(kept.places, seen.keypoints.places)
        np.testing.assert_array_equal(kept.descriptors, seen.keypoints.descriptors)
    assert index.image(1).shape == (240, 180)
    assert len(index.keypoints(2).places) == 0


def test_keypoints_are_mirrored_as_the_photograph_is(tmp_path: Path) -> None:
    file = save(tmp_path / "a.png", width=320, height=240)
    cv2.imwrite(str(tmp_path / "b.png"), cv2.imread(str(file))[:, ::-1])
    expected = find_keypoints(tmp_path / "b.png").keypoints
    found = mirror(find_keypoints(file).keypoints, width=240)
    distances = np.hypot(*(found.places[:, None, :2] - expected.places[None, :, :2]).transpose(2, 0, 1))
    near = distances.argmin(axis=1)
    close = distances.min(axis=1) < 1.5  # OpenCV places keypoints half a pixel off
    turned = (found.places[close, 3] - expected.places[near[close], 3] + 180) % 360 - 180
    assert close.mean() > 0.8
    assert np.median(np.abs(turned)) < 1
