"""One explicit seed, split so that no stream of numbers depends on another."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Purpose(IntEnum):
    """What a generator is for; each purpose draws from numbers of its own."""

    PRODUCTS = 1
    TRAITS = 2
    NOISE = 3
    LOSSES = 4
    DELAYS = 5
    FAULTS = 6
    SCHEDULE = 7


def generator(seed: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """Return the generator of `purpose` and `key`, the same for the same arguments always."""
    return np.random.default_rng([seed, int(purpose), *key])


def hashed(key: int, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Mix `numbers` into 64 even bits each, so that any shift's product is known without the past.

    The finaliser is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    """
    bits = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
