"""How long sensors have shown the same value: what a machine remembers of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class Run:
    """How long one sensor has shown the same value.

    Parameters
    ----------
    value : float
        The value it shows.
    since : int
        When it first showed it, nanoseconds.
    stood : list of (int, int)
        Earlier times ``[from, to)`` of standing too long that later windows may still cover.
    """

    value: float
    since: int
    stood: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class QualityState:
    """What one machine remembers of the sensors that are watched for standing still.

    Parameters
    ----------
    through : int or None
        Time of the last slot looked at: slots that two windows share count once.
    runs : dict of str to Run
        Per sensor name.

    Examples
    --------
    >>> QualityState.from_dict(QualityState(5, {"a": Run(1.5, 3)}).to_dict()).runs["a"].since
    3
    """

    through: int | None = None
    runs: dict[str, Run] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; empty where nothing is watched."""
        if self.through is None:
            return {}
        runs = {name: [run.value, run.since, run.stood] for name, run in self.runs.items()}
        return {"through": self.through, "runs": runs}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> QualityState:
        """Read back what ``to_dict`` gave."""
        return cls(
            state.get("through"),
            {
                name: Run(value, since, [(a, b) for a, b in stood])
                for name, (value, since, stood) in state.get("runs", {}).items()
            },
        )


def follow(
    run: Run | None,
    times: NDArray[np.int64],
    column: NDArray[np.float32],
    start: int,
    limit: int,
) -> Run | None:
    """Return the run at the last of these new slots; ``start`` is that of the window."""
    over = [] if run is None else [(a, b) for a, b in run.stood if b > start]
    there = ~np.isnan(column)
    times, column = times[there], column[there]
    if not len(times):
        return run and Run(run.value, run.since, over)
    changed = np.empty(len(times), np.bool_)
    changed[0] = run is None or column[0] != run.value
    changed[1:] = column[1:] != column[:-1]
    since = times[changed]
    if run is not None:
        since = np.concatenate([np.array([run.since]), since])
    long = np.flatnonzero(since[:-1] + limit < since[1:])
    over += [(int(since[i]) + limit, int(since[i + 1])) for i in long]
    return Run(float(column[-1]), int(since[-1]), [(a, b) for a, b in over if b > start])


def stood(run: Run, times: NDArray[np.int64], limit: int) -> NDArray[np.bool_]:
    """Return which slots lie in a time of standing still for too long."""
    still: NDArray[np.bool_] = times >= run.since + limit
    for since, until in run.stood:
        still |= (times >= since) & (times < until)
    return still
