"""The alarm line follows its machine: slowly, within bounds, and never without a trace.

What is ordinary on a machine is followed by medians of blocks of its static scores. The offset
that comes of it is added to median and line alike, so the raw score and ``static_score`` stay
what they are and ``score = static_score - offset``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import DriftConfig
from stream_ad.windows.spec import NS

DAY_NS = 86_400 * NS
BLOCK = 16  # windows; the median of so many does not mind a fault of a few
BLOCKS = 16  # remembered
FEWEST = 8  # blocks that say what is ordinary
# what is ordinary wobbles by so much without drift, and a line that followed would rise; but the
# p-values of a machine that drifts stay too low by as much
REST = 0.125
CALM = 0.25  # so far below where it opened a drift incident closes: noise opens one, not many


@dataclass(slots=True)
class LineState:
    """Where the alarm line of one machine stands, and the scores that it follows.

    Parameters
    ----------
    offset : float
        How far line and median have moved, in units of ``static_score``; never negative.
    through : int or None
        End of the last window followed, in nanoseconds.
    version : int, str or None
        Key of the model whose scores these are.
    used : float
        What the lines of earlier versions had moved and their successors took for normal.
    told : float
        The offset at its last reported move.
    highest : float
        The largest offset ever.
    beyond : bool
        The offset is at its bound and what is ordinary lies above: an incident is open.
    block : list of float
        Static scores of the windows since the last full block.
    medians : list of float
        Of the last full blocks, the oldest first.
    carried : float
        What the lines of earlier versions had moved while it is not known yet how much of that
        the model in force still shows. It counts as used until then: ``used``, ``carried`` and
        ``offset`` together never exceed ``drift.max_total``.

    Examples
    --------
    >>> line, drift = LineState(), DriftConfig(max_per_day=2)
    >>> hour = 3600 * NS
    >>> for i in range(8 * BLOCK):
    ...     _ = line.follow(2.5, i * hour, drift)
    >>> round(line.offset, 3), line.follow(2.5, 8 * BLOCK * hour, drift), round(line.offset, 3)
    (0.083, False, 0.167)
    >>> LineState.from_list(line.to_list()) == line
    True
    """

    offset: float = 0.0
    through: int | None = None
    version: int | str | None = None
    used: float = 0.0
    told: float = 0.0
    highest: float = 0.0
    beyond: bool = False
    block: list[float] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)
    carried: float = 0.0
    _centre: float | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self._centre = _middle(self.medians) if len(self.medians) >= FEWEST else None

    @property
    def centre(self) -> float | None:
        """What is ordinary on this machine, as a static score; None before that is known."""
        return self._centre

    def begin(self, version: int | str, *, charged: bool = True) -> None:
        """Go on with the scores of another model, from its own line.

        Whether the machine has drifted beyond its bound, and how much of what the old line had
        moved the new model has absorbed, stays open until the new scores tell.

        Parameters
        ----------
        version : int
        charged : bool
            False where another line keeps account of what models absorb.
        """
        self.carried += self.offset if charged else 0.0
        self.offset = self.told = 0.0
        self.block, self.medians, self._centre = [], [], None
        self.version = version

    def follow(self, static_score: float, end: int, drift: DriftConfig) -> bool:
        """Take in the next window; the line moves for those after it.

        Parameters
        ----------
        static_score : float
            One that is not finite says nothing about what is ordinary.
        end : int
            End of the window in nanoseconds, later than that of the last one.
        drift : DriftConfig

        Returns
        -------
        bool
            Whether the offset has moved by another ``drift.report``.
        """
        since, self.through = self.through, end
        if math.isfinite(static_score):
            self.block.append(static_score)
            if len(self.block) == BLOCK:
                self.medians = [*self.medians[1 - BLOCKS :], _middle(self.block)]
                self.block = []
                self.__post_init__()
        if self._centre is None or since is None:
            return False
        return self._move(self._centre, end - since, drift)

    def _settle(self, centre: float) -> None:
        """Keep charged only what the model in force no longer shows: that it has absorbed."""
        self.used += max(0.0, self.carried - max(0.0, centre - REST))
        self.carried = 0.0

    def _move(self, centre: float, elapsed: int, drift: DriftConfig) -> bool:
        if self.carried:
            self._settle(centre)
        left = max(0.0, drift.max_total - self.used)
        # one-sided: a machine that is quieter than its history is no reason for a stricter line
        target = min(max(centre - REST, 0.0), left)
        if target != self.offset:
            step = drift.max_per_day * min(elapsed, DAY_NS) / DAY_NS
            away = target - self.offset
            self.offset = target if abs(away) <= step else self.offset + math.copysign(step, away)
            self.highest = max(self.highest, self.offset)
        # with nothing left to move, a centre not worth a report is not worth an incident
        bound = max(left + REST, min(drift.report, drift.max_total))
        if centre <= bound - min(CALM, bound / 2):
            self.beyond = False
        elif centre > bound and self.offset >= left:
            self.beyond = True
        moved = abs(self.offset - self.told)
        if moved < drift.report or not moved:
            return False
        self.told = self.offset
        return True

    def to_list(self) -> list[Any]:
        """Return JSON values; empty where nothing was followed."""
        if self.version is None and self.through is None:
            return []
        numbers = [self.offset, self.through, self.version, self.used, self.told, self.highest]
        return [*numbers, self.beyond, [*self.block], self.medians, self.carried]

    @classmethod
    def from_list(cls, row: Sequence[Any]) -> LineState:
        """Read back what ``to_list`` gave."""
        line = cls(*row)
        line.block = [*line.block]  # grows in place
        return line


def _middle(values: Iterable[float]) -> float:
    """Return the median; halves are added, so that huge scores do not overflow."""
    ordered = sorted(values)
    n = len(ordered)
    return ordered[n // 2] / 2 + ordered[(n - 1) // 2] / 2


class Followed(NamedTuple):
    """What the lines did under n windows.

    Parameters
    ----------
    offset : float array (n,)
        In force for the window: a window never moves its own line.
    beyond : bool array (n,)
        Its machine has drifted beyond the bound; never true of a muted window.
    crossed : bool array (n,)
        It has just done so.
    reported : list of int
        Windows with which a line had moved by another ``drift.report``.
    """

    offset: NDArray[np.float64]
    beyond: NDArray[np.bool_]
    crossed: NDArray[np.bool_]
    reported: list[int]


def follow_lines(  # noqa: PLR0917 - columns of the same windows, then what holds for all
    lines: Iterable[LineState],
    static_score: NDArray[np.float64],
    end: NDArray[np.int64],
    muted: NDArray[np.bool_],
    version: int | str,
    drift: DriftConfig,
    *,
    charged: bool = True,
) -> Followed:
    """Let the lines follow scored windows, those of one machine in order of their end.

    Parameters
    ----------
    lines : iterable of LineState, (n,)
        Of each window's machine, changed in place.
    static_score : float64 array (n,)
    end : int64 array (n,)
        In nanoseconds.
    muted : bool array (n,)
        Windows that move nothing.
    version : int
        Of the model that scored them all.
    drift : DriftConfig
        With a bound of 0 nothing moves, and what had moved counts for nothing.
    charged : bool
        As of `LineState.begin`.

    Returns
    -------
    Followed
    """
    n = len(static_score)
    offset, beyond, crossed = np.zeros(n), np.zeros(n, bool), np.zeros(n, bool)
    reported: list[int] = []
    if drift.max_per_day > 0 and drift.max_total > 0:
        rows = zip(lines, static_score.tolist(), end.tolist(), muted.tolist(), strict=True)
        for i, (line, score, at, is_muted) in enumerate(rows):
            if line.version != version:
                line.begin(version, charged=charged)
            if line.offset:
                offset[i] = line.offset
            if is_muted:
                continue
            was_beyond = line.beyond
            if line.follow(score, at, drift):
                reported.append(i)
            if line.beyond:
                beyond[i], crossed[i] = True, not was_beyond
    return Followed(offset, beyond, crossed, reported)
