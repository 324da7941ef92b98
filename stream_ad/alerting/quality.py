"""Faults of the data themselves: outside the physical range, standing still, missing.

What is found here is masked before the model sees the window, and tells a story of its own
(kind ``data_quality``), apart from anomalies of the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_ad.alerting.standing import QualityState, follow, stood
from stream_ad.records import ChannelEvidence, SensorEvidence
from stream_ad.windows.spec import NS, WindowSpec

CHANNELS = ("missing", "range", "stuck")
TOP = 5


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with the data of one window.

    Parameters
    ----------
    share : float
        Bad cells among all cells of the window.
    sensors : tuple of SensorEvidence
        At most five, most bad cells first; ``share`` of the bad cells, ``expected`` null,
        ``actual`` the value farthest outside or the one that stands still, null if missing.
    channels : tuple of ChannelEvidence
        ``missing``, ``range`` and ``stuck`` with their shares of the bad cells, those above
        zero, largest first. A cell counts once: out of range before stuck.
    """

    share: float
    sensors: tuple[SensorEvidence, ...]
    channels: tuple[ChannelEvidence, ...]


class QualityCheck:
    """Finds and masks bad cells.

    Parameters
    ----------
    spec : WindowSpec
        Sensors with ``min``, ``max`` and ``stuck_s``; the grid.
    known : bool array (C,)
        Sensors that had any value in the history: the others may stay silent.
    max_missing : float
        Share of missing cells above which a window counts as bad.

    Notes
    -----
    A sensor stands still from the slot on at which it has shown exactly the same value for
    ``stuck_s`` of event time. An empty cell neither ends nor starts a run; a hole between
    windows and a muted window end it: of a machine at rest all sensors stand still. A sensor
    that rests by nature (a switch, a set-point, report by exception) should not be given
    ``stuck_s``.

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> sensors = [{"name": "temp", "min": 0, "max": 100}]
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=sensors, period_s=1, length=2))
    >>> check = QualityCheck(spec, np.array([True]), max_missing=0.5)
    >>> values = np.array([[[20.0], [850.0]]], np.float32)
    >>> clean, found = check([QualityState()], np.array([0]), values)
    >>> clean[0, :, 0], found[0].sensors[0].actual
    (array([20., nan], dtype=float32), 850.0)
    """

    def __init__(self, spec: WindowSpec, known: NDArray[np.bool_], max_missing: float) -> None:
        self._spec, self._known, self._max_missing = spec, known, max_missing
        low = [-np.inf if s.min is None else s.min for s in spec.sensors]
        high = [np.inf if s.max is None else s.max for s in spec.sensors]
        self._low, self._high = np.asarray(low, np.float32), np.asarray(high, np.float32)
        ranged = [s.min is not None or s.max is not None for s in spec.sensors]
        self._ranged = np.flatnonzero(ranged)
        self._stuck = [
            (c, s.name, round(s.stuck_s * NS))
            for c, s in enumerate(spec.sensors)
            if s.stuck_s is not None
        ]

    def __call__(
        self,
        states: Sequence[QualityState],
        start: NDArray[np.int64],
        values: NDArray[np.float32],
        muted: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.float32], list[Findings | None]]:
        """Check a batch of windows, of one machine or of many.

        Parameters
        ----------
        states : sequence of QualityState, (n,)
            Of each window's machine, changed in place; windows of one machine in order of
            start. Read only if a sensor has ``stuck_s``.
        start : int64 array (n,)
        values : float32 array (n, T, C)
            NaN = missing; not changed.
        muted : bool array (n,), optional
            Windows of which nothing is found.

        Returns
        -------
        clean : float32 array (n, T, C)
            The values with bad cells missing; the given array if there are none.
        findings : list of Findings or None, (n,)
        """
        missing = self._missing(values)
        outside = self._outside(values)
        if muted is None:
            muted = np.zeros(len(values), bool)
        stuck = self._standing(states, start, values, outside, muted) if self._stuck else None
        bad, clean = missing.any(axis=1), values
        for cells in (outside, stuck):
            if cells is not None and cells.any():
                bad |= cells.any(axis=(1, 2))
                clean = np.where(cells, np.float32(np.nan), clean)
        findings: list[Findings | None] = [None] * len(values)
        for i in np.flatnonzero(bad & ~muted):
            masks = (None if cells is None else cells[i] for cells in (outside, stuck))
            findings[i] = self._describe(values[i], missing[i], *masks)
        return clean, findings

    def _missing(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Count the cells (n, C) to complain of: silent sensors, and all in a poor window."""
        if not values.size or not np.isnan(values.min()):  # the usual case, at a tenth of the cost
            return np.zeros(values.shape[::2], np.int64)
        empty = np.isnan(values).sum(axis=1, dtype=np.int64) * self._known
        length, cells = values.shape[1], values.shape[1] * max(1, int(self._known.sum()))
        poor = empty.sum(axis=1) / cells > self._max_missing
        return np.where(poor[:, None] | (empty == length), empty, 0)

    def _outside(self, values: NDArray[np.float32]) -> NDArray[np.bool_] | None:
        if not len(self._ranged):
            return None
        outside = np.zeros(values.shape, np.bool_)
        for c in self._ranged:  # comparing with NaN is false: an empty cell is not outside
            column = values[:, :, c]
            outside[:, :, c] = (column < self._low[c]) | (column > self._high[c])
        return outside

    def _standing(
        self,
        states: Sequence[QualityState],
        start: NDArray[np.int64],
        values: NDArray[np.float32],
        outside: NDArray[np.bool_] | None,
        muted: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        stuck = np.zeros(values.shape, np.bool_)
        slots = np.arange(values.shape[1], dtype=np.int64) * self._spec.period_ns
        for i, state in enumerate(states):
            times = start[i] + slots
            new = slice(0)
            if state.through is None:
                new = slice(None)
            elif times[-1] > state.through:
                new = slice(int(np.searchsorted(times, state.through, side="right")), None)
                if times[new][0] - state.through > self._spec.period_ns:
                    state.runs.clear()
            for c, name, limit in self._stuck:
                column = values[i, :, c]
                run = follow(state.runs.get(name), times[new], column[new], int(start[i]), limit)
                if run is not None:
                    state.runs[name] = run
                    stuck[i, :, c] = stood(run, times, limit) & ~np.isnan(column)
            state.through = max(int(times[-1]), state.through or int(times[-1]))
            if muted[i]:
                state.runs.clear()
        return stuck if outside is None else stuck & ~outside

    def _describe(
        self,
        values: NDArray[np.float32],
        missing: NDArray[np.int64],
        outside: NDArray[np.bool_] | None,
        stuck: NDArray[np.bool_] | None,
    ) -> Findings:
        none = np.zeros_like(missing)
        masks = (none if mask is None else mask.sum(axis=0) for mask in (outside, stuck))
        counts = np.stack([missing, *masks])  # (channels, C)
        per_sensor, per_channel, total = counts.sum(axis=0), counts.sum(axis=1), counts.sum()
        worst = np.argsort(-per_sensor, kind="stable")[:TOP]
        sensors = tuple(
            SensorEvidence(
                name=self._spec.sensors[c].name,
                unit=self._spec.sensors[c].unit,
                share=float(per_sensor[c] / total),
                expected=None,
                actual=self._offending(c, values[:, c], outside, stuck),
            )
            for c in worst
            if per_sensor[c]
        )
        channels = tuple(
            ChannelEvidence(channel=CHANNELS[k], share=float(per_channel[k] / total))
            for k in np.argsort(-per_channel, kind="stable")
            if per_channel[k]
        )
        return Findings(float(total / values.size), sensors, channels)

    def _offending(
        self,
        c: int,
        column: NDArray[np.float32],
        outside: NDArray[np.bool_] | None,
        stuck: NDArray[np.bool_] | None,
    ) -> float | None:
        if outside is not None and outside[:, c].any():
            over = np.maximum(column - self._high[c], self._low[c] - column)
            return float(column[np.nanargmax(over)])
        if stuck is not None and stuck[:, c].any():
            return float(column[np.flatnonzero(stuck[:, c])[-1]])
        return None
