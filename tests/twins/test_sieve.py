from pathlib import Path

import cv2
import numpy as np
import pytest

from wbc.sources.drawing import draw_smear
from wbc.twins.keypoints import build_index
from wbc.twins.sieve import Proposals, propose_partners


def ranked(folder: Path, images: list[np.ndarray]) -> Proposals:
    files = [folder / f"{number}.png" for number in range(len(images))]
    for file, image in zip(files, images, strict=True):
        cv2.imwrite(str(file), np.ascontiguousarray(image))
    return propose_partners(build_index(files, folder=folder), seed=0)


@pytest.mark.parametrize(("step", "mirrored"), [(1, False), (-1, True)])
def test_the_partner_comes_first_and_tells_whether_it_is_mirrored(tmp_path: Path, step: int, mirrored: bool) -> None:
    images = [draw_smear(seed=5, number=n, classes=["NEUTROPHIL"], width=320, height=240)[0] for n in range(8)]
    again = draw_smear(seed=5, number=3, classes=["NEUTROPHIL"], width=320, height=240, take=1)[0]
    ranking = ranked(tmp_path, [*images, again[:, ::step], np.full((60, 80, 3), 200, np.uint8)])
    best = {first: row for row, first in reversed(list(enumerate(ranking.first.tolist())))}
    assert ranking.second[best[3]] == 8
    assert ranking.second[best[8]] == 3
    assert bool(ranking.mirrored[best[3]]) is bool(ranking.mirrored[best[8]]) is mirrored
    assert (ranking.first != ranking.second).all()
    assert 9 not in ranking.first
    assert len(set(zip(ranking.first.tolist(), ranking.second.tolist(), strict=True))) == len(ranking.first)


def test_without_keypoints_nothing_is_ranked(tmp_path: Path) -> None:
    assert len(ranked(tmp_path, [np.full((60, 80, 3), 200, np.uint8)] * 2).first) == 0
