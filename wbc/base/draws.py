"""Random draws keyed by what they are for, never by order or worker, so any number of workers draws the same."""

import hashlib

import numpy as np


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """Return the random generator that belongs to ``seed`` and ``keys``, the same on every machine and in any order."""
    digest = hashlib.sha256("\0".join(map(str, keys)).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest)])
