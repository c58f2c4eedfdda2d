import os
import subprocess
import sys
import time
from pathlib import Path

import joblib
import pytest

from wbc.tools.parallel import map_parallel


def test_results_come_in_order_from_other_processes() -> None:
    def linger(number: int) -> tuple[int, int]:
        time.sleep(0.05 / (1 + number))
        return number, os.getpid()

    numbers, processes = zip(*map_parallel(linger, range(20), description="test"), strict=True)
    assert numbers == tuple(range(20))
    assert joblib.cpu_count() == 1 or os.getpid() not in processes


def test_a_worker_works_where_its_caller_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert set(map_parallel(lambda _: Path.cwd().name, range(4), description="test")) == {name}


def test_more_items_than_a_block_from_a_generator() -> None:
    results = list(map_parallel(str, (number for number in range(200)), total=200, description="test"))
    assert results == [str(number) for number in range(200)]


def test_no_items_no_results() -> None:
    assert list(map_parallel(len, [], description="test")) == []


def test_an_error_in_a_worker_arrives() -> None:
    with pytest.raises(ValueError, match=r"invalid literal for int.*'three'"):
        list(map_parallel(int, ["1", "2", "three", "4"], description="test"))


def test_another_backend_takes_over_by_configuration() -> None:
    with joblib.parallel_config(backend="threading"):
        assert set(map_parallel(lambda _: os.getpid(), range(5), description="test")) == {os.getpid()}


def test_results_that_nobody_takes_do_not_pile_up() -> None:
    done: list[int] = []
    with joblib.parallel_config(backend="threading"):
        results = map_parallel(done.append, range(3000), description="test")
        next(results)
        time.sleep(0.5)
        assert len(done) <= 128
        assert len(list(results)) == 2999
    assert sorted(done) == list(range(3000))


def test_the_environment_lowers_the_number_of_processes() -> None:
    code = (
        "import os; from wbc.tools.parallel import map_parallel\n"
        "assert set(map_parallel(lambda _: os.getpid(), range(5), description='test')) == {os.getpid()}"
    )
    environment = os.environ | {"LOKY_MAX_CPU_COUNT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=Path(__file__).parents[2], check=True)
