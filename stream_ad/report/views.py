"""What the report is made from: plain columns of a finished run, wherever it ran."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream_ad.records import IncidentEvent


@dataclass(frozen=True)
class Trace:
    """One sensor of an incident, over its windows and some time around them.

    Parameters
    ----------
    sensor : str
    unit : str or None
    time : int64 array (n,)
        Nanoseconds since the epoch, UTC, ascending.
    actual, expected : float array (n,)
        In the sensor's unit; NaN where there is none.
    """

    sensor: str
    unit: str | None
    time: NDArray[np.int64]
    actual: NDArray[np.floating]
    expected: NDArray[np.floating]


@dataclass(frozen=True)
class IncidentView:
    """One incident: its events in order, opened first, and the traces of its sensors."""

    events: list[IncidentEvent]
    traces: list[Trace] = field(default_factory=list)


@dataclass(frozen=True)
class Timeline:
    """The scored windows of one machine.

    Parameters
    ----------
    machine_id : str
    time : int64 array (n,)
        Ends of the windows, nanoseconds since the epoch, UTC, ascending.
    score, static_score : float array (n,)
        Against the machine's own line and against the line that no adaptation moved; 1 is
        the line in both.
    alarm : bool array (n,)
    label_spans : list of (start, end)
        Labelled anomalies, nanoseconds; empty without labels.
    """

    machine_id: str
    time: NDArray[np.int64]
    score: NDArray[np.floating]
    static_score: NDArray[np.floating]
    alarm: NDArray[np.bool_]
    label_spans: list[tuple[int, int]] = field(default_factory=list)
