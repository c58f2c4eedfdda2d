from pathlib import Path

import numpy as np
import pytest

from wbc.data.arrays import create_images, image_filler, image_writer, iterate_images, read_images


@pytest.mark.parametrize("count", [0, 1, 11])
def test_the_file_is_the_one_that_numpy_saves(tmp_path: Path, count: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 6, 3), dtype=np.uint8)
    with image_writer(tmp_path / "written.npy", shape=(4, 6, 3)) as append:
        for image in images:
            append(image)
    np.save(tmp_path / "saved.npy", images)
    assert (tmp_path / "written.npy").read_bytes() == (tmp_path / "saved.npy").read_bytes()


def test_images_are_written_behind_those_of_another_file_which_is_taken_over(tmp_path: Path) -> None:
    images = np.arange(5 * 2 * 4 * 3, dtype=np.uint8).reshape(5, 2, 4, 3)
    np.save(tmp_path / "first.npy", images[:3])
    first = read_images(tmp_path / "first.npy")
    with image_writer(tmp_path / "all.npy", shape=(2, 4, 3), onto=tmp_path / "first.npy") as append:
        append(images[3])
        append(images[4])
    np.save(tmp_path / "expected.npy", images)
    assert (tmp_path / "all.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()
    assert np.array_equal(first, images[:3])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.npy", "expected.npy"]


def test_rows_are_filled_in_any_order_to_the_file_that_numpy_saves(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (11, 4, 6, 3), dtype=np.uint8)
    create_images(tmp_path / "filled.npy", shape=(11, 4, 6, 3))
    for rows in ([10, 3, 4], [0, 1, 2, 5, 9, 8, 7]):
        with image_filler(tmp_path / "filled.npy") as write:
            for row in rows:
                write(row, images[row])
    images[6] = 0  # nobody filled it
    np.save(tmp_path / "saved.npy", images)
    assert (tmp_path / "filled.npy").read_bytes() == (tmp_path / "saved.npy").read_bytes()


def test_images_are_read_memory_mapped_and_read_only(tmp_path: Path) -> None:
    with image_writer(tmp_path / "images.npy", shape=(2, 2, 3)) as append:
        append(np.full((2, 2, 3), 7, np.uint8))
    images = read_images(tmp_path / "images.npy")
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable
    assert images.tolist() == [[[[7, 7, 7]] * 2] * 2]


def test_a_turned_image_is_written_as_it_looks(tmp_path: Path) -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    with image_writer(tmp_path / "images.npy", shape=(2, 2, 3)) as append:
        append(image.transpose(1, 0, 2)[::-1])
    assert np.array_equal(read_images(tmp_path / "images.npy")[0], image.transpose(1, 0, 2)[::-1])


@pytest.mark.parametrize("wrong", [np.zeros((2, 3, 3), np.uint8), np.zeros((2, 2, 3), np.float32)])
def test_another_shape_or_type_is_refused_and_leaves_nothing(tmp_path: Path, wrong: np.ndarray) -> None:
    def write_both() -> None:
        with image_writer(tmp_path / "images.npy", shape=(2, 2, 3)) as append:
            append(np.zeros((2, 2, 3), np.uint8))
            append(wrong)

    with pytest.raises(ValueError, match=r"images\.npy: expected uint8 \(2, 2, 3\), got"):
        write_both()
    assert not list(tmp_path.iterdir())


def test_images_are_yielded_in_the_order_asked_for_across_blocks(tmp_path: Path) -> None:
    with image_writer(tmp_path / "images.npy", shape=(1, 1, 3)) as append:
        for number in range(600):
            append(np.full((1, 1, 3), number // 3, np.uint8))
    values = [int(image[0, 0, 0]) for image in iterate_images(tmp_path / "images.npy")]
    assert values == [number // 3 for number in range(600)]
    chosen = list(range(599, -1, -2))
    assert [int(image[0, 0, 0]) for image in iterate_images(tmp_path / "images.npy", rows=chosen)] == [
        number // 3 for number in chosen
    ]
