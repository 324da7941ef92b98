"""Which windows of a history teach, which stop the training, which set the alarm line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_ad.errors import NotEnoughHistory

VALIDATION_SHARE = 0.2
LEAST_TRAINING, LEAST_CALIBRATION = 6, 4

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of the three parts of a history, each in time order.

    Parameters
    ----------
    training : int64 array
        Fits scaler and weights, fills the bank.
    validation : int64 array
        The latest fifth of what comes before the gap: stops the training early.
    calibration : int64 array
        The held-out end: scores that set the alarm line.
    """

    training: Rows
    validation: Rows
    calibration: Rows


def split(start: NDArray[np.int64], window_ns: int, calibration_share: float) -> Split:
    """Split windows by time, with a gap of one window before the calibration part.

    Parameters
    ----------
    start : int64 array (n,)
        Starts of the windows, ascending, all machines together.
    window_ns : int
        Span of a window. Between the end of every learning window and the start of the
        first calibration window lies at least as much; what is in between is left out.
    calibration_share : float
        Share of the windows that is held out, below 1. Windows that start together stay
        together. At 0 nothing is held out: all windows teach.

    Examples
    --------
    >>> s = split(np.arange(20) * 10, 10, 0.3)
    >>> s.training, s.validation, s.calibration[[0, -1]]
    (array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), array([10, 11, 12]), array([14, 19]))
    """
    n = len(start)
    if calibration_share == 0:
        none = np.zeros(0, np.int64)
        return Split(np.arange(n), none, none)
    cut = start[n - max(1, round(calibration_share * n))] if n else 0
    learning = np.flatnonzero(start <= cut - 2 * window_ns)
    tail = round(len(learning) * (1 - VALIDATION_SHARE))
    return Split(learning[:tail], learning[tail:], np.flatnonzero(start >= cut))


def check_enough(given: int, training: int, calibration: int, calibration_share: float) -> None:
    """Refuse a history that is too short, with the numbers that say why.

    Parameters
    ----------
    given, training, calibration : int
        Windows in all; usable ones to train on and for the alarm line.
    calibration_share : float
        The setting that divides them; 0 where nothing is held out.

    Raises
    ------
    NotEnoughHistory
        With fewer than 6 to train on or fewer than 4 for the line, together 10.
    """
    if calibration_share == 0:
        if training < LEAST_TRAINING + LEAST_CALIBRATION:
            raise NotEnoughHistory(
                f"{given} windows leave {training} usable ones to learn from; at least "
                f"{LEAST_TRAINING + LEAST_CALIBRATION} needed: give more history"
            )
        return
    if training >= LEAST_TRAINING and calibration >= LEAST_CALIBRATION:
        return
    raise NotEnoughHistory(
        f"{given} windows leave {training} usable ones to train on (at least "
        f"{LEAST_TRAINING} needed) and {calibration} for the alarm line (at least "
        f"{LEAST_CALIBRATION} needed); one window's time between the two is left out, as are "
        "windows with too many missing cells: give more history, or change "
        f"detector.calibration_share (now {calibration_share:g})"
    )
