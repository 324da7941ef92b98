"""From a history of windows to those that teach and those that are held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.inputs import as_windows
from stream_ad.detector.scaling import ROBUST, Scaler
from stream_ad.detector.split import Rows, check_enough, split
from stream_ad.windows.batches import Windows
from stream_ad.windows.spec import WindowSpec, missing_share


@dataclass(frozen=True, slots=True)
class Prepared:
    """What of a history is used, and for what; windows in time order.

    Parameters
    ----------
    scaler : Scaler
        Fitted to the training windows, before the unusable ones were left out.
    training, validation : Windows
        Normal windows before the gap: those that teach, and later ones to stop by.
    held_out : Windows
        Normal windows after the gap, for the alarm line.
    label : int64 array (n,)
        Of the training windows: 0 unlabelled, +1 labelled normal.
    anomalies : Windows
        Those labelled as such, of the whole history.
    """

    scaler: Scaler
    training: Windows
    validation: Windows
    held_out: Windows
    label: NDArray[np.int64]
    anomalies: Windows


def in_order(
    windows: Windows, spec: WindowSpec, y: NDArray[np.int64] | None = None
) -> tuple[Windows, NDArray[np.int64] | None]:
    """Check the windows of a machine group and sort them, and their labels, by start and machine.

    Raises
    ------
    InputError
        For windows of another shape than the spec's.
    """
    values = as_windows(windows.values, "windows.values", (spec.length, len(spec.sensors)))
    order = np.lexsort((windows.machine.astype(str), windows.start))
    ordered = Windows(windows.machine, windows.start, values, windows.offset).take(order)
    return ordered, None if y is None else y[order]


def prepare(
    windows: Windows,
    window_ns: int,
    calibration_share: float,
    *,
    max_missing: float,
    y: NDArray[np.int64] | None = None,
    period_ns: int | None = None,
    scaling: str = ROBUST,
) -> Prepared:
    """Split a history, fit the scaler and leave out what cannot be used.

    Parameters
    ----------
    windows : Windows
        Ordered by start.
    window_ns : int
        Span of a window.
    calibration_share : float
        See `split`.
    max_missing : float
        Windows with a larger share of missing cells, or with missing cells only, are not
        used; of the anomalies only the latter.
    y : int64 array (n,), optional
        0 unlabelled, +1 labelled normal, -1 labelled anomaly.
    period_ns : int, optional
        Time between two slots, where the starts are times of a clock: then the scaler learns
        the course of the day.
    scaling : str
        See `Scaler`.

    Raises
    ------
    NotEnoughHistory
        When too few usable windows remain.

    Examples
    --------
    >>> level = np.arange(20, dtype=np.float32).reshape(20, 1, 1)
    >>> start = np.arange(20) * 10
    >>> history = Windows(np.full(20, "m", object), start, level, np.arange(20))
    >>> p = prepare(history, 10, 0.3, max_missing=0.5)
    >>> len(p.training), len(p.validation), len(p.held_out)
    (10, 3, 6)
    """
    label = np.zeros(len(windows), np.int64) if y is None else y
    normal = np.flatnonzero(~np.isnan(windows.values).all(axis=(1, 2)) & (label >= 0))
    parts = split(windows.start[normal], window_ns, calibration_share)
    teaching = windows.take(normal[parts.training])
    scaler = Scaler.fit(teaching.values, scaling)
    if period_ns is not None and len(teaching):
        scaler = scaler.with_daily(teaching.values, teaching.start, period_ns)
    if len(teaching):
        scaler = scaler.with_cycle(teaching.values, teaching.start)

    def usable(rows: Rows, allowed: float) -> Rows:
        missing = missing_share(windows.values[rows], scaler.known)
        # nothing can be said of a window without any value, whatever share is allowed
        return rows[(missing <= allowed) & (missing < 1)]

    training, validation, held_out = (
        usable(normal[rows], max_missing)
        for rows in (parts.training, parts.validation, parts.calibration)
    )
    check_enough(len(windows), len(training), len(held_out), calibration_share)
    return Prepared(
        scaler=scaler,
        training=windows.take(training),
        validation=windows.take(validation),
        held_out=windows.take(held_out),
        label=label[training],
        anomalies=windows.take(usable(np.flatnonzero(label < 0), 1.0)),
    )
