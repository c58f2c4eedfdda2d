"""The one place where work is spread over workers: an existing engine takes over through joblib's backends."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar

import cv2
from joblib import Parallel, delayed
from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")
_AHEAD = 256


def map_parallel(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    description: str,
    batch_size: int | Literal["auto"] = "auto",
) -> Iterator[Result]:
    """Yield ``function`` of each item, in order, computed by one process for each core, with a progress bar.

    Results that were yielded are not kept, and at most _AHEAD are computed ahead, so memory does not grow with the
    number of items. A worker is handed ``batch_size`` items at once; by itself joblib takes the more the faster they
    go, too many where results are large.
    ``joblib.parallel_config(backend=...)`` round the call hands the work to another engine (threads, Dask, Ray);
    the environment's LOKY_MAX_CPU_COUNT lowers the number of processes.
    """
    with (
        Parallel(n_jobs=-1, return_as="generator", batch_size=batch_size) as parallel,
        tqdm(total=len(items), desc=description, unit="image", disable=None) as bar,
    ):
        for start in range(0, len(items), _AHEAD):  # joblib does not wait for who takes its results
            for result in parallel(delayed(_call_alone)(function, item) for item in items[start : start + _AHEAD]):
                bar.update()
                yield result


def _call_alone(function: Callable[[Item], Result], item: Item) -> Result:
    cv2.setNumThreads(1)  # or the threads of all processes take the cores from each other
    return function(item)
