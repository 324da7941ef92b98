"""What detectors are judged by where nothing is labelled: injected faults, and their own line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_ad.errors import ModelError
from stream_ad.windows import Windows
from stream_ad.windows.spec import missing_share

if TYPE_CHECKING:
    from stream_ad.detector import Detector

# kind, severity, share of the sensors, at least one of them: large in one, or small in many
FAULTS = (
    ("spike", 20.0, 0.0),
    ("spike", 6.0, 0.3),
    ("drift", 10.0, 0.0),
    ("drift", 3.0, 0.3),
    ("stuck", 1.0, 0.0),
    ("stuck", 1.0, 0.3),
    ("lost_correlation", 1.0, 0.0),
    ("lost_correlation", 1.0, 0.3),
    ("delay", 0.3, 0.0),
    ("delay", 0.3, 0.3),
    ("scale", 3.0, 0.0),
    ("scale", 1.0, 0.3),
)

PIECE = 4_096  # windows at a time, where a buffer of them is looked at

Floats = NDArray[np.float64]


class Injected(NamedTuple):
    """Windows with one fault in each: only those that it changed, perhaps none.

    Parameters
    ----------
    kind : str
    severity : float
    sensors : int
        How many of each window have it.
    windows : Windows
    """

    kind: str
    severity: float
    sensors: int
    windows: Windows


def injected(
    windows: Windows, spread: Floats, seed: int, *, most: int, least: int = 1
) -> Iterator[Injected]:
    """Inject every fault of ``FAULTS`` into normal windows.

    Parameters
    ----------
    windows : Windows
        At least one.
    spread : float64 array (C,)
        Unit of the severity per sensor; NaN for a sensor that is left alone.
    seed : int
    most, least : int
        Of more windows those evenly spaced get faults; of fewer each gets several.

    Yields
    ------
    Injected
        One for each of ``FAULTS``, in order. Nothing can be stuck where nothing moves.
    """
    from stream_ad.detector.synthetic import inject

    n = len(windows)
    rows = np.unique(np.linspace(0, n - 1, most).astype(np.int64))
    rows = np.resize(rows, max(len(rows), least))
    few = windows.take(rows)
    for number, (kind, severity, share) in enumerate(FAULTS):
        count = max(1, round(share * len(spread)))
        odd, _ = inject(few.values, kind, severity, seed + number, spread=spread, sensors=count)
        hit = ((odd != few.values) & ~np.isnan(few.values)).any(axis=(1, 2))
        yield Injected(kind, severity, count, replace(few, values=odd).take(hit))


def spreads(detector: Detector) -> Floats:
    """Return the unit of severity per sensor (C,), as a detector has learned it."""
    return np.array([sensor["spread"] for sensor in detector.card["sensors"]], np.float64)


def usable(
    detectors: Sequence[Detector], windows: Windows, max_missing: float
) -> NDArray[np.bool_]:
    """Return which windows (n,) a replay would score with any of the detectors.

    Not all detectors learn from the same windows, nor know the same sensors.
    """
    kept = np.ones(len(windows), bool)
    for first in range(0, len(windows), PIECE):
        piece = slice(first, first + PIECE)
        for detector in detectors:
            missing = missing_share(windows.values[piece], detector.known)
            kept[piece] &= (missing <= max_missing) & (missing < 1)
    return kept


def finite_scores(detector: Detector, windows: Windows, who: str) -> Floats:
    """Return the raw scores (n,) of windows that the detector can score.

    Raises
    ------
    ModelError
        When one of them, or the alarm line, is not a finite number; names ``who``.
    """
    line = detector.line_
    if not (np.isfinite(line.line) and np.isfinite(line.median) and line.line > line.median):
        raise ModelError(f"the alarm line of the {who} is not a finite number above its median")
    if not len(windows):
        return np.zeros(0)
    try:
        raw = detector.score(windows.values, windows.start, windows.machine).raw
    except ModelError as error:
        raise ModelError(f"the {who} is broken: {error}") from error
    if not np.isfinite(raw).all():
        raise ModelError(f"the {who} gives scores that are not finite numbers")
    return raw


@dataclass(frozen=True, slots=True)
class AlarmRate:
    """How many of some normal windows lie above a line, and how many may.

    Parameters
    ----------
    above : float
        Share of the windows above the line.
    asked : float
        The share that the line stands for.
    allowed : float
        The share that chance explains: asked, and two standard errors of the independent
        ones among the windows, at least one of these.

    Examples
    --------
    >>> AlarmRate(above=0.02, asked=0.01, allowed=0.03).within
    True
    """

    above: float
    asked: float
    allowed: float

    @classmethod
    def of(cls, detector: Detector, windows: Windows, raw: Floats) -> AlarmRate:
        """Judge the line of a detector by its raw scores (n,) of windows it did not learn."""
        from stream_ad.detector.calibration import Calibration

        ours, p = detector.calibration_, detector.line_.p_line
        scored = Calibration(windows.machine, windows.start, raw, ours.hop_ns, ours.window_ns)
        chance = max(2 * math.sqrt(p * (1 - p) / scored.independent), 1 / scored.independent)
        above = float((raw > detector.line_.line).mean())
        return cls(above, p, min(1.0, p + chance))

    @property
    def within(self) -> bool:
        """Say whether the line held."""
        return self.above <= self.allowed
