"""Weaker faults: a recording whose anomalies rise above the normal by a tenth of what they did.

A line that moves with the machine can swallow a fault that is weak and long. Real faults are
mostly far too loud to show that, so they are made quieter, sensor by sensor, and nothing else
is touched. A run of anomalous rows is held against the 160 normal rows just before it, which
is all that a stream of tep has:

1. *Level*: the median of those normal rows.
2. *Slow part* of a cell: the median of the cells of its own side, normal or anomalous, within
   16 rows of it; *rest*: the cell without it. A step so stays a step at the same row.
3. Sizes of the slow part's distance from the level, and of the rest, are compared with those
   of the normal rows rank by rank, the largest with the largest. Of what they have more, a
   tenth remains: ``size' = usual + 0.1 (size - usual)`` where ``size > usual``. So steps and
   ramps shrink in the slow part, shaking and spikes in the rest, and the shape stays.
4. What is no larger than usual stays as it is. Noise and the usual wandering keep their size,
   since a fault without them would be found by its silence, or be more normal than normal.

What the fault takes away stays away: a sensor that freezes or falls silent does so here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from tests.benchmarks.recordings import Recording

SHARE = 0.1
BEFORE = 160  # normal rows that say what normal is
BESIDE = 16  # rows on either side of one that make its slow part; a window's length
STRESSED = {"tep": "tep_shrunk", "oil_3w": "oil_3w_shrunk"}

Floats = NDArray[np.float64]


def shrunk(recording: Recording, share: float = SHARE) -> Recording:
    """Return the recording with the excess of its faults over normal reduced to a share.

    Parameters
    ----------
    recording : Recording
        Of a family of ``STRESSED``. Its training part is left as it is.
    share : float
        What remains of the excess, 0 to 1; 1 changes nothing but rounding.
    """
    values = recording.values.copy()
    for run in _runs(recording.label, recording.history):
        before = np.flatnonzero(recording.label[: run.start] == 0)[-BEFORE:]
        normal, fault = recording.values[before], recording.values[run]
        for sensor in range(values.shape[1]):
            cells = normal[:, sensor].astype(np.float64), fault[:, sensor].astype(np.float64)
            values[run, sensor] = weakened(*cells, share)
    return replace(recording, family=STRESSED[recording.family], values=values)


def weakened(normal: Floats, fault: Floats, share: float) -> Floats:
    """Return the cells of one sensor during a fault, held against those before it.

    Parameters
    ----------
    normal, fault : float array (n,), (m,)
        NaN = missing, and missing it stays; without any value before, nothing changes.
    share : float

    Examples
    --------
    >>> weakened(np.full(5, 2.0), np.array([12.0, 12, np.nan, 12]), share=0.1)
    array([ 3.,  3., nan,  3.])
    """
    seen, heard = np.isfinite(fault), np.isfinite(normal)
    if not (seen.any() and heard.any()):
        return fault
    level = np.median(normal[heard])
    calm, slow = _slow(normal)[heard], _slow(fault)[seen]
    moved = _quieter(calm - level, slow - level, share)
    rest = _quieter(normal[heard] - calm, fault[seen] - slow, share)
    weak = fault.copy()
    weak[seen] = level + moved + rest
    return weak


def _slow(cells: Floats) -> Floats:
    """Return the median of the cells within ``BESIDE`` rows of each, as far as there are any."""
    around = np.pad(cells, BESIDE, constant_values=np.nan)
    near = np.lib.stride_tricks.sliding_window_view(around, 2 * BESIDE + 1)
    slow = cells.copy()
    seen = np.isfinite(cells)
    slow[seen] = np.nanmedian(near[seen], axis=1)
    return slow


def _quieter(normal: Floats, fault: Floats, share: float) -> Floats:
    """Shrink by what the sizes during a fault exceed the normal ones of the same rank."""
    size = np.abs(fault)
    place = (rankdata(size) - 0.5) / len(size)  # equal sizes share one rank
    usual = np.quantile(np.abs(normal), place, method="hazen")  # which places them alike
    smaller: Floats = np.sign(fault) * np.minimum(size, usual + share * (size - usual))
    return smaller


def _runs(label: Floats, first: int) -> Iterator[slice]:
    """Yield where rows after ``first`` are anomalous one after another."""
    steps = np.diff(np.concatenate([[0], (label[first:] == 1).astype(np.int8), [0]]))
    starts, stops = (first + np.flatnonzero(steps == step) for step in (1, -1))
    for start, stop in zip(starts, stops, strict=True):
        yield slice(int(start), int(stop))
