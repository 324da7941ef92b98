"""What can go wrong, where, when and how strongly."""

from __future__ import annotations

import math
from dataclasses import dataclass

FAULT_KINDS = (
    "spike",
    "drift",
    "stuck",
    "lost_correlation",
    "wrong_regime",
    "degradation",
    "intermittent",
)
"""Every kind of fault; a kind's code in a chunk is its position here plus one, 0 is none."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One labelled fault of one machine.

    Parameters
    ----------
    machine_id : str
        The machine it happens to.
    kind : str
        One of `FAULT_KINDS`.
    start_s, duration_s : float
        Seconds after the start of the stream (>= 0), and how long it lasts (> 0).
    sensors : tuple of str, optional
        Names of the sensors it touches; empty means all of the machine.
    severity : float, optional
        Size at its worst, above 0, in standard deviations of the sensor in steady production.
        `lost_correlation`: size of the sensor's own wandering, 1 = as large as the common one it
        lost. `wrong_regime`: extra work, in deviations of the load (17 = from nothing to full).
        `stuck` has no size.

    Raises
    ------
    ValueError
        When a value is outside its range.

    Examples
    --------
    >>> Fault("machine-01", "melted", 0, 60)
    Traceback (most recent call last):
    ValueError: kind: 'melted' is not one of spike, drift, stuck, lost_correlation, \
wrong_regime, degradation, intermittent
    """

    machine_id: str
    kind: str
    start_s: float
    duration_s: float
    sensors: tuple[str, ...] = ()
    severity: float = 8.0

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"kind: {self.kind!r} is not one of {', '.join(FAULT_KINDS)}")
        if not 0 <= self.start_s < math.inf:
            raise ValueError(f"start_s: {self.start_s} is not allowed; give 0 or more seconds")
        for name in ("duration_s", "severity"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: {getattr(self, name)} is not allowed; give more than 0")

    def slots(self, period_s: float) -> tuple[int, int]:
        """Return the first slot of the fault and the first one after it, at least one apart."""
        first = math.ceil(self.start_s / period_s - 1e-9)
        return first, first + max(1, round(self.duration_s / period_s))
