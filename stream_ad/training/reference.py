"""What a reference held for normal: where each machine stood, and how much that wobbled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream_ad.alerting.drift import DAY_NS, REST

if TYPE_CHECKING:
    from stream_ad.detector import Detector

GROUP = "*"  # all machines together
# the median, and what a tenth of the windows exceeds: poison in a third of them leaves the median
SHARES = np.array([0.5, 0.9])
NEXT = 0.05  # on either side of these, to see how close scores lie there
FEWEST = 20  # windows that say something about that
ERRORS = 4  # standard errors that chance explains: many machines are looked at, day after day
FEW_DAYS, SURE = 4, 8  # days of a machine, of all, that show how much days differ
SIGMA = 1.4826  # standard deviations of a normal distribution in a median absolute deviation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Normal:
    """What a reference held for normal, by the windows of its own history that it held out.

    How much a machine wobbles is taken from there and not from the windows that are judged:
    whoever feeds those could make them wobble until anything is allowed.

    Parameters
    ----------
    reference : Detector

    Attributes
    ----------
    until : int
        End of that history in ns.
    zero : dict of str to float64 array (2,)
        Machine to its median and upper tenth; ``*`` to those of all machines, each counted from
        its own median.
    """

    def __init__(self, reference: Detector) -> None:
        own = reference.calibration_
        self.until = int(own.start.max()) + own.window_ns
        static, rows = reference.line_.static_score(own.raw), by_machine(own.machine)
        self.zero = {name: heights(static[r]) for name, r in rows.items() if len(r) >= FEWEST}
        middle = np.zeros(len(static))
        for name in self.zero:
            middle[rows[name]] = self.zero[name][0]
        self.zero[GROUP] = heights(static - middle)
        self._share = min(1.0, own.independent / len(static))
        blocks = [[r[block] for block in days(own.start[r])] for r in rows.values()]
        self._one, self._most = self._by_days(static, blocks) or _by_density(static)

    def _by_days(
        self, static: Floats, blocks: Sequence[Sequence[Ints]]
    ) -> tuple[Floats, float] | None:
        """Return the error of one independent window as single days show it; None of few days.

        A day is never known better than days differ, however many windows it has.
        """
        several = [of for of in blocks if len(of) >= FEW_DAYS]
        if sum(map(len, several)) < SURE:
            return None
        days = [np.array([heights(static[block]) for block in of]) for of in several]
        apart = np.abs(np.concatenate([of - np.median(of, axis=0) for of in days]))
        size = float(np.median([len(block) for of in several for block in of])) * self._share
        return SIGMA * np.median(apart, axis=0) * math.sqrt(max(1.0, size)), max(1.0, size)

    def noise(self, windows: int, scored: int) -> Floats:
        """Return by how much median and upper tenth wobble where nothing moves, (2,).

        Four standard errors; at least what the alarm line takes for rest.

        Parameters
        ----------
        windows, scored : int
            In a block, and of these evenly spaced.
        """
        independent = min(max(1.0, min(scored, windows * self._share)), self._most)
        return np.asarray(np.maximum(REST, ERRORS * self._one / math.sqrt(independent)))


def _by_density(static: Floats) -> tuple[Floats, float]:
    """Return the error of one independent window by how close scores lie."""
    low, high = (np.quantile(static, SHARES + side) for side in (-NEXT, NEXT))
    return np.sqrt(SHARES * (1 - SHARES)) * (high - low) / (2 * NEXT), math.inf


def days(start: Ints) -> Iterator[Ints]:
    """Cut the windows of a machine into blocks of a day, the newest first.

    A day has all that comes and goes within a day. One with fewer than 20 windows reaches
    farther back until it has as many; an oldest rest with fewer is left out.

    Parameters
    ----------
    start : int64 array (n,)
        In any order.

    Yields
    ------
    int64 array
        Rows.

    Examples
    --------
    >>> [len(rows) for rows in days(np.arange(70) * DAY_NS // 30)]
    [30, 30]
    """
    order = np.argsort(start, kind="stable")[::-1]
    first = 0
    while len(order) - first >= FEWEST:
        day = start[order[first]] - start[order[first:]] < DAY_NS
        count = max(FEWEST, int(day.sum()))
        yield order[first : first + count]
        first += count


def by_machine(machine: NDArray[np.object_]) -> dict[str, Ints]:
    """Return the rows of each machine."""
    names, code = np.unique(machine.astype(str), return_inverse=True)
    ends = np.cumsum(np.bincount(code, minlength=len(names)))
    rows = np.split(np.argsort(code, kind="stable"), ends[:-1])
    return dict(zip(names.tolist(), rows, strict=True)) if len(names) else {}


def heights(static: Floats) -> Floats:
    """Return median and upper tenth of static scores (n,)."""
    return np.asarray(np.quantile(static, SHARES))
