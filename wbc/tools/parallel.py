"""The one place where work is spread over workers: an existing engine takes over through joblib's backends."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, cycle, islice
from operator import length_hint
from pathlib import Path
from typing import Literal, TypeVar

import cv2
from joblib import Parallel, delayed
from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")
_BLOCK = 64  # items; joblib computes all it was handed, whether or not anybody takes the results


def map_parallel(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    description: str,
    total: int | None = None,
    unit: str = "image",
    batch_size: int | Literal["auto"] = "auto",
) -> Iterator[Result]:
    """Yield ``function`` of each item, in order, computed by one process for each core, with a progress bar.

    Results that were yielded are not kept, and at most two blocks of _BLOCK are computed ahead, so memory does not grow
    with the number of items: ``total``, which only a generator of items needs. The bar calls an item ``unit``.
    A worker is handed ``batch_size`` items at once; by itself joblib takes the more the faster they go, too many where
    results are large.
    ``joblib.parallel_config(backend=...)`` round the call hands the work to another engine (threads, Dask), if it gives
    results one by one, which Ray's does not. The environment's LOKY_MAX_CPU_COUNT lowers the number of processes.
    """
    with ExitStack() as stack:
        # Both have the same workers. These outlive the call, and those of another working directory are replaced.
        halves = [
            stack.enter_context(
                Parallel(
                    n_jobs=-1,
                    return_as="generator",
                    batch_size=batch_size,
                    initializer=os.chdir,
                    initargs=(Path.cwd(),),
                )
            )
            for _ in range(2)
        ]
        bar = stack.enter_context(tqdm(total=total or length_hint(items), desc=description, unit=unit, disable=None))
        started = (
            half(delayed(_call_alone)(function, item) for item in block)
            for half, block in zip(cycle(halves), _blocks(items), strict=False)
        )
        for result in _double_buffered(started):
            bar.update()
            yield result


def _double_buffered(started: Iterable[Iterable[Result]]) -> Iterator[Result]:
    """Yield the results of each block in turn; a block is started before the results of the one before it are taken.

    Blocks start when they are asked for. Of three, the order is:

        start 1 | start 2, take 1 | start 3, take 2 | take 3
    """
    at_work: Iterable[Result] = ()
    for following in chain(started, [()]):
        yield from at_work
        at_work = following


def _blocks(items: Iterable[Item]) -> Iterator[list[Item]]:
    remaining = iter(items)
    while block := list(islice(remaining, _BLOCK)):
        yield block


def _call_alone(function: Callable[[Item], Result], item: Item) -> Result:
    cv2.setNumThreads(1)  # or the threads of all processes take the cores from each other
    return function(item)
