"""Which windows of an endless stream are kept: a bounded sample that favours the newest.

Every window has a key that follows from its machine and its time alone, and those with the
smallest keys stay. So what is kept depends neither on the order in which windows come nor on how
often the others are dropped.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.float64]
Starts = NDArray[np.int64]
Tags = NDArray[np.uint64]
Chosen = NDArray[np.bool_]

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: neighbours end up far apart
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


class Sample:
    """Chooses windows by weighted sampling without replacement.

    Parameters
    ----------
    limit : int
        Most windows kept.
    half_life_ns : int or None
        A window so much older than another weighs half as much; None: all weigh the same.
    block_ns : int
        Windows of a machine that start in the same block of time have the same key: they stay or
        go together, since what tells how long a machine remembers is found in unbroken runs only.
    seed : int

    Notes
    -----
    The sampling is A-ES of Efraimidis and Spirakis, *Weighted random sampling with a reservoir*
    (2006), section 3: of items with weights ``w`` those with the largest ``u ** (1 / w)`` are
    kept. Here ``w = 2 ** (t / half_life)``, so the smallest ``log(-log u) - t ln 2 / half_life``
    are the same ones, and no weight overflows; ``u`` is a hash of seed, machine and block, and
    ``t`` the start of the block. That a window is half as likely to be kept one half-life later
    holds while few of its age are; of the newest all may be kept.

    Examples
    --------
    >>> sample = Sample(2, None, 10)
    >>> start = np.array([0, 5, 10, 20])
    >>> key = sample.keys(np.full(4, sample.tag("press-1")), start)
    >>> key[0] == key[1], key[1] == key[2]
    (np.True_, np.False_)
    >>> int(smallest(key, start, np.zeros(4, np.uint64), sample.limit).sum())
    2
    """

    def __init__(self, limit: int, half_life_ns: int | None, block_ns: int, seed: int = 0) -> None:
        self.limit, self._block_ns, self._seed = limit, block_ns, seed
        self._rate = 0.0 if half_life_ns is None else math.log(2) / half_life_ns

    def tag(self, machine: str) -> np.uint64:
        """Return a number that stands for a machine, the same in every process."""
        text = f"{self._seed}\0{machine}".encode()
        return np.uint64(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))

    def keys(self, tag: Tags, start: Starts) -> Keys:
        """Return the key of each window.

        Parameters
        ----------
        tag : uint64 array (n,)
            Of their machines.
        start : int64 array (n,)
            In ns.
        """
        block = start // self._block_ns
        u = _uniform(tag, block)
        keys: Keys = np.log(-np.log(u)) - self._rate * (block * self._block_ns)
        return keys


def smallest(key: Keys, start: Starts, tag: Tags, n: int) -> Chosen:
    """Return which ``n`` windows have the smallest keys; of equal keys the latest, then by tag.

    Examples
    --------
    >>> smallest(np.array([2.0, 1, 2]), np.array([0, 1, 2]), np.zeros(3, np.uint64), 2)
    array([False,  True,  True])
    """
    if len(key) <= n:
        return np.ones(len(key), bool)
    if n <= 0:
        return np.zeros(len(key), bool)
    last = np.partition(key, n - 1)[n - 1]
    chosen: Chosen = key < last
    ties = np.flatnonzero(key == last)
    order = ties[np.lexsort((tag[ties], -start[ties]))]
    chosen[order[: n - int(chosen.sum())]] = True
    return chosen


def labelled_first(key: Keys, start: Starts, tag: Tags, label: NDArray[np.int8], n: int) -> Chosen:
    """Return which ``n`` windows stay, labelled ones first.

    Parameters
    ----------
    key, start, tag : arrays (m,)
        As of `smallest`.
    label : int8 array (m,)
        0: not labelled. These are sure of a quarter of the places, if they can fill them: what
        nobody keeps nobody can label. Each other value is sure of half of the rest, so that many
        windows of one label do not push out the few of the other; what is left goes to labelled
        windows of any kind, then to the others, each time by key.
    n : int

    Returns
    -------
    bool array (m,)

    Examples
    --------
    >>> label, none = np.array([0, 1, 1, 1, 2], np.int8), np.zeros(5, np.uint64)
    >>> labelled_first(np.arange(5.0), np.arange(5), none, label, 2)
    array([False,  True, False, False,  True])
    """
    chosen = np.zeros(len(key), bool)

    def choose(among: Chosen, most: int) -> None:
        rows = np.flatnonzero(among & ~chosen)
        chosen[rows[smallest(key[rows], start[rows], tag[rows], most)]] = True

    choose(label == 0, n // 4)
    for value in np.unique(label[label != 0]):
        choose(label == value, (n - n // 4) // 2)
    choose(label != 0, n - int(chosen.sum()))
    choose(label == 0, n - int(chosen.sum()))
    return chosen


def _uniform(tag: Tags, block: Starts) -> Keys:
    """Return a number in (0, 1) for each pair, by the finaliser of SplitMix64."""
    x = tag + block.view(np.uint64) * _ODD
    for shift, factor in _MIX:
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    x ^= x >> np.uint64(31)
    # of 52 bits, so that the halves between two of them are exact: neither 0 nor 1
    u: Keys = ((x >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return u
