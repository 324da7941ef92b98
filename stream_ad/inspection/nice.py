"""Durations that a person would choose."""

from __future__ import annotations

from bisect import bisect_left

_SECONDS = (1, 2, 5, 10, 15, 20, 30)
_LONGER = (1, 2, 3, 4, 6, 8, 12)  # hours
_DAY = 86_400.0
SENSIBLE = (
    *(round(step * 10.0**power, 9) for power in range(-6, 0) for step in (1, 2, 2.5, 5)),
    *(float(s) for s in _SECONDS),
    *(60.0 * m for m in _SECONDS),
    *(3600.0 * h for h in _LONGER),
    _DAY,
    7 * _DAY,
)
LONGEST = 366 * _DAY
_NEAR = 0.02


def rounded(seconds: float) -> float:
    """Return the sensible duration within 2 %, else three significant digits.

    Examples
    --------
    >>> rounded(59.6), rounded(61.74)
    (60.0, 61.7)
    """
    seconds = min(max(seconds, SENSIBLE[0]), LONGEST)
    near = min(SENSIBLE, key=lambda sensible: abs(sensible - seconds))
    if abs(near - seconds) <= _NEAR * seconds:
        return near
    return float(f"{seconds:.3g}")


def coarser(seconds: float) -> float:
    """Return the next sensible duration at or above, whole days beyond a week.

    Examples
    --------
    >>> coarser(43), coarser(60), coarser(700_000)
    (60.0, 60.0, 777600.0)
    """
    seconds = min(seconds, LONGEST)
    place = bisect_left(SENSIBLE, seconds * (1 - 1e-9))
    return SENSIBLE[place] if place < len(SENSIBLE) else -(-seconds // _DAY) * _DAY


def spoken(seconds: float) -> str:
    """Return a duration for a sentence.

    Examples
    --------
    >>> spoken(0.25), spoken(90), spoken(5400), spoken(86_400 * 3)
    ('0.25 s', '90 s', '1.5 h', '3 days')
    """
    for unit, name in ((2 * _DAY, "days"), (3600.0, "h"), (120.0, "min")):
        if seconds >= unit:
            size = {"days": _DAY, "h": 3600.0, "min": 60.0}[name]
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s"


def number(value: float) -> str:
    """Write a number as YAML reads it: never with an exponent.

    Examples
    --------
    >>> number(60.0), number(0.00025), number(float("inf"))
    ('60', '0.00025', '.inf')
    """
    if value == float("inf"):
        return ".inf"
    return f"{value:.9f}".rstrip("0").rstrip(".")
