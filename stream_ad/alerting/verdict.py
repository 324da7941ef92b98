"""What is known about one closed window when the incidents are told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_ad.alerting.quality import Findings
from stream_ad.records import ChannelEvidence, Neighbour, SensorEvidence


@dataclass(frozen=True, slots=True)
class Details:
    """Why a window scored as it did.

    Parameters
    ----------
    sensors : list of SensorEvidence
        At most five, the largest share first.
    evidence : list of ChannelEvidence
    neighbours : list of Neighbour
    """

    sensors: list[SensorEvidence]
    evidence: list[ChannelEvidence]
    neighbours: list[Neighbour]


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """One closed window of one machine.

    Parameters
    ----------
    machine_id : str
    start, end : int
        ``[start, end)`` in nanoseconds since the epoch, UTC.
    missing_share : float
        Missing cells among those of known sensors, 0 to 1.
    scored : bool
        False for a window with too many missing cells; then the scores are not read.
    alarm : bool
        The score is above the line.
    drifted : bool
        What is ordinary on the machine lies beyond what its line may follow.
    raw, score, static_score, p, line : float
        Raw score, score, the same under the unadapted line, p-value, alarm line.
    sensor_share : float array (C,) or None
        Share of each sensor in the raw score; None where it is not known. Read at alarms, and
        of drifted windows.
    explain : callable or None
        Gives the details; called only for a window that describes an incident, and known of
        every alarming one.
    accepted : bool
        An operator accepted, with the version that scored it, what the machine had become.
    quality : Findings or None
        What is wrong with the data themselves; None if nothing.
    model_id, model_version : str, int or None
        What scored the window.
    """

    machine_id: str
    start: int
    end: int
    missing_share: float = 0.0
    scored: bool = False
    alarm: bool = False
    drifted: bool = False
    accepted: bool = False
    raw: float = 0.0
    score: float = 0.0
    static_score: float = 0.0
    p: float = 1.0
    line: float = 0.0
    sensor_share: NDArray[np.floating] | None = None
    explain: Callable[[], Details] | None = None
    quality: Findings | None = None
    model_id: str | None = None
    model_version: int | None = None
