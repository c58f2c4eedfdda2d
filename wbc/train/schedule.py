"""How fast a phase learns, and when it ends."""

import math

import pandas as pd

from wbc.train.params import TrainParams
from wbc.train.state import best_epoch


def learning_rate(epoch: int, *, peak: float, epochs: int, params: TrainParams) -> float:
    """Return the learning rate of an epoch of a phase, counted from 0: a linear rise to ``peak``, then the schedule.

    The schedule is constant or half a cosine (Loshchilov & Hutter 2017).
    """
    if epoch < params.warm_up:
        return peak * (epoch + 1) / (params.warm_up + 1)
    if params.schedule == "constant":
        return peak
    progress = (epoch - params.warm_up) / max(epochs - params.warm_up, 1)
    return peak * (1 + math.cos(math.pi * progress)) / 2


def is_over(history: pd.DataFrame, *, since: int, last: int, patience: int | None) -> bool:
    """Tell whether epoch ``last`` is done, or ``patience`` epochs without a better one, of those after ``since``."""
    if len(history) >= last:
        return True
    if patience is None or len(history) == since:
        return False
    return len(history) - max(best_epoch(history), since) >= patience
