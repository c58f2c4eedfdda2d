"""Notes when a function of running code is called, so that the code itself need not be changed to be measured."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import pairwise
from typing import Any, NamedTuple


class Span(NamedTuple):
    """When a call began and ended, seconds of time.perf_counter."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@contextmanager
def recorded(owner: Any, name: str) -> Iterator[list[Span]]:
    """Yield a list that gets the span of each call of ``owner.name`` while the block lasts."""
    original, spans = getattr(owner, name), list[Span]()

    @wraps(original)
    def timed(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return original(*arguments, **options)
        finally:
            spans.append(Span(start, time.perf_counter()))

    setattr(owner, name, timed)
    try:
        yield spans
    finally:
        setattr(owner, name, original)


def epochs_of(steps: list[Span], *, epochs: int) -> list[list[Span]]:
    """Return the ``steps`` of each of ``epochs``. Raises ValueError unless these have the same number of steps."""
    count, rest = divmod(len(steps), epochs)
    if rest or not count:
        raise ValueError(f"{len(steps)} calls of train_on_batch in {epochs} epochs: the training no longer works so")
    return [steps[start : start + count] for start in range(0, len(steps), count)]


def between(steps: list[Span]) -> list[float]:
    """Return the seconds between each of ``steps`` and the next."""
    return [later.start - earlier.end for earlier, later in pairwise(steps)]
