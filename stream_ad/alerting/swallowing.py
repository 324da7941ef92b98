"""Which faults a moving alarm line can take for the new normal: said before it happens."""

from __future__ import annotations

import math
from typing import Any

from stream_ad.alerting.drift import BLOCK, BLOCKS, DAY_NS, REST
from stream_ad.config import DriftConfig

# the median of the blocks is a fault's once more than half of them are; one began before it
SEEN_WINDOWS = (BLOCKS // 2 + 2) * BLOCK


def swallowing_zone(drift: DriftConfig, hop_ns: int) -> dict[str, Any]:
    """Return the zone in which the line can swallow a fault, for cards and reports.

    Sizes are in units of ``static_score``: an ordinary window is 0, the unmoved line 1.

    Parameters
    ----------
    drift : DriftConfig
    hop_ns : int
        Time between the starts of two windows.

    Returns
    -------
    dict
        JSON values. ``moves``: whether the line moves at all. ``slope_per_day``: a ramp no
        steeper is followed, until it has risen by ``total``. ``delay_days``: after so much
        scored time at the latest the line heads for a constant fault. ``silent_up_to``: a
        constant fault up to this size becomes the new normal and leaves no incident; above it
        one of kind ``drift`` stays open. ``quiet_up_to``: up to this size its process
        incident closes, after at most ``quiet_days``; above it never does.

    Examples
    --------
    >>> zone = swallowing_zone(DriftConfig(max_per_day=2, max_total=3), hop_ns=900 * 10**9)
    >>> round(zone["delay_days"], 2), round(zone["quiet_days"], 2)
    (1.67, 3.17)
    """
    moves = drift.max_per_day > 0 and drift.max_total > 0
    total, delay = drift.max_total if moves else 0.0, SEEN_WINDOWS * hop_ns / DAY_NS
    return {
        "moves": moves,
        "slope_per_day": drift.max_per_day if moves else 0.0,
        "total": total,
        "delay_days": delay if moves else None,
        "silent_up_to": total + REST if moves else 0.0,
        "quiet_up_to": 1 + total,
        "quiet_days": delay + total / drift.max_per_day if moves else None,
    }


def swallowed_after(size: float, drift: DriftConfig, hop_ns: int) -> float:
    """Return after how many days at the latest a constant fault is above the line no more.

    Of scored time without holes of more than a day, if the machine was ordinary before.

    Parameters
    ----------
    size : float
        Its ``static_score``.
    drift, hop_ns
        As `swallowing_zone`.

    Returns
    -------
    float
        Infinite where the line cannot reach it; 0 where it never was above.

    Examples
    --------
    >>> [swallowed_after(s, DriftConfig(max_per_day=2, max_total=3), 10**9) for s in (0.9, 4.1)]
    [0.0, inf]
    """
    if size <= 1:
        return 0.0
    zone = swallowing_zone(drift, hop_ns)
    if not zone["moves"] or size > zone["quiet_up_to"]:
        return math.inf
    return float(zone["delay_days"]) + (size - 1) / drift.max_per_day


def swallowing_words(drift: DriftConfig, hop_ns: int, *, retrains: bool = False) -> str:
    """Say the zone in sentences.

    Parameters
    ----------
    drift, hop_ns
        As `swallowing_zone`.
    retrains : bool
        Whether detectors are trained anew on the way.

    Examples
    --------
    >>> swallowing_words(DriftConfig(max_total=0), hop_ns=1)
    'The alarm line does not move (drift.max_per_day, drift.max_total).'
    """
    zone = swallowing_zone(drift, hop_ns)
    if not zone["moves"]:
        still = "The alarm line does not move (drift.max_per_day, drift.max_total)."
        return f"{still} What later versions absorb leaves no trace." if retrains else still
    slope, total, silent = (zone[key] for key in ("slope_per_day", "total", "silent_up_to"))
    said = (
        f"The alarm line follows a machine by at most {slope:g} a day and {total:g} in all, in "
        f"units of static_score: it can swallow a ramp of at most {slope:g} a day until that has "
        f"risen by {total:g}, and a constant fault of size s above 1 within (s - 1) / {slope:g} + "
        f"{zone['delay_days']:.2g} days; one above {silent:g} leaves an incident of kind drift "
        f"open, one above {1 + total:g} stays above the line."
    )
    if not retrains:
        return said
    return (
        f"{said} Later versions add nothing to that: every window is held as well against the "
        "last version that an operator accepted, at first the first, and what is ordinary may not "
        "go farther from there, whatever later ones absorb."
    )
