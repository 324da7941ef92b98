"""VUS-PR: the volume under the range-PR surface.

J. Paparrizos, P. Boniol, T. Palpanas, R. S. Tsay, A. Elmore, M. J. Franklin, "Volume Under the
Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly Detection", PVLDB 15(11),
2022. Labelled borders are rarely exact to the row, so rows near an anomaly earn a part of the
credit, and the reach of "near" is not chosen but averaged over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream_ad.errors import ConfigError
from stream_ad.evaluation.rows import Machines, machine_codes, row_labels, row_scores

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

THRESHOLDS = 250
MAX_DEFAULT_BUFFER = 100


def vus_pr(
    label: ArrayLike,
    score: ArrayLike,
    max_buffer: int | None = None,
    sequence: Machines | None = None,
) -> float | None:
    """Mean over buffer lengths 0..max_buffer of the area under the range-PR curve.

    For a buffer length l, the soft label of a row is 1 in an anomaly, ``sqrt(1 - d / l)`` at
    distance d = 1..floor(l / 2) from one, 0 elsewhere; where buffers overlap they add up to at
    most 1. At each threshold, with T the soft labels summed over predicted rows and B those
    of predicted buffer rows alone::

        precision = T / predicted rows
        recall    = min(T / (anomalous rows + B / 2), 1) * existence
        existence = share of the buffered anomalies with a predicted row in them

    (buffered anomalies that share a row are one). The area sums each gain in recall times the
    precision there. Thresholds are the scores at 250 equally spaced ranks from highest to
    lowest; a row is predicted at or above them.

    Two points follow the authors' current program instead of the paper's text: B / 2 stands
    for the *predicted* half of the buffer, without which marking exactly the labelled rows
    earns less than 1; and the area goes by steps, where trapezes from precision 1 at recall 0
    give a constant score about one half. So figures compare with those published for it.

    Works badly when anomalies are fewer than about 1 row in 250 (the thresholds are coarser
    than the ranking at the top), and does not compare across recordings with other shares of
    anomalous rows.

    Parameters
    ----------
    label : (n,) array of 0, 1 or NaN
        1 = anomalous; unlabelled rows (NaN) count nowhere and end an anomaly.
    score : (n,) float array
        Higher = more anomalous; NaN ranks lowest.
    max_buffer : int, optional
        Longest buffer in rows, >= 0; by default :func:`default_buffer`.
    sequence : (n,) sequence, optional
        Machine of each row; buffers never cross from one to another. Rows of one machine are
        in time order, machines may interleave. By default all rows are one sequence.

    Returns
    -------
    float in [0, 1], or None
        None when only one class is present.

    Raises
    ------
    ConfigError
        A negative buffer.
    InputError
        A label other than 0, 1, NaN; lengths that differ.

    Examples
    --------
    >>> label = [0, 0, 0, 1, 1, 0, 0, 0]
    >>> vus_pr(label, label, max_buffer=4)
    1.0
    >>> late = [0, 0, 0, 0, 1, 1, 0, 0]
    >>> vus_pr(label, late, max_buffer=0) < vus_pr(label, late, max_buffer=4) < 1
    True
    """
    y = row_labels(label)
    x = row_scores(score, len(y))
    labelled = ~np.isnan(y)
    if len(np.unique(y[labelled])) < 2:
        return None
    longest = default_buffer(y, sequence) if max_buffer is None else max_buffer
    if longest < 0:
        raise ConfigError("max_buffer", longest, "a number of rows, 0 or more")

    predicted_from = np.full(len(y), THRESHOLDS)
    predicted_from[labelled] = _first_threshold(x[labelled])
    reach = longest // 2
    cells = _positions(len(y), sequence, pad=2 * reach + 1)
    first = np.full(int(cells.max()) + 2 * reach + 2, THRESHOLDS)
    anomalous = np.zeros(len(first), dtype=np.bool_)
    first[cells], anomalous[cells] = predicted_from, y == 1

    predicted = _at_each_threshold(predicted_from)
    hits = _at_each_threshold(first[anomalous])
    buffers = _Buffers(first, anomalous, reach)
    areas = []
    for length in range(longest + 1):
        buffers.grow_to(length // 2)
        near = np.cumsum(buffers.soft_labels(length))
        recall = np.minimum((hits + near) / (hits[-1] + near / 2), 1) * buffers.existence()
        areas.append(np.sum(np.diff(recall, prepend=0) * (hits + near) / predicted))
    return float(np.mean(areas))


def default_buffer(label: ArrayLike, sequence: Machines | None = None) -> int:
    """Return the median length of the labelled events in rows, at most 100; 0 without any.

    Parameters
    ----------
    label : (n,) array of 0, 1 or NaN
        1 = anomalous.
    sequence : (n,) sequence, optional
        Machine of each row; events never cross from one to another.

    Examples
    --------
    >>> default_buffer([1, 1, 0, 1, 1, 1, 1, 0])
    3
    """
    y = row_labels(label)
    if not np.any(y == 1):
        return 0
    cells = _positions(len(y), sequence, pad=1)
    anomalous = np.zeros(int(cells.max()) + 2, dtype=np.bool_)
    anomalous[cells] = y == 1
    starts, ends = _runs(anomalous)
    return min(int(np.median(ends - starts + 1)), MAX_DEFAULT_BUFFER)


class _Buffers:
    """The buffers around all anomalies, grown row by row.

    Each buffer cell is touched once per anomaly that reaches it, so the cost does not depend on
    the number of rows.
    """

    def __init__(self, first: Ints, anomalous: NDArray[np.bool_], reach: int) -> None:
        self._first, self._anomalous = first, anomalous
        self._starts, self._ends = _runs(anomalous)
        self._found_from = np.minimum.reduceat(first, self._starts_and_stops())[::2]
        self._distance = np.zeros(len(first), dtype=np.int64)  # 0 = in no buffer
        self._shared = np.zeros(len(first), dtype=np.bool_)  # in two or more: soft label 1
        self._alone_at = np.zeros((reach + 1, THRESHOLDS + 1), dtype=np.int64)
        self._shared_at = np.zeros(THRESHOLDS + 1, dtype=np.int64)
        self._reach = 0

    def _starts_and_stops(self) -> Ints:
        return np.stack([self._starts, self._ends + 1], axis=1).ravel()

    def grow_to(self, reach: int) -> None:
        """Extend every buffer to `reach` rows on either side."""
        while self._reach < reach:
            self._reach += 1
            for edge in (self._starts - self._reach, self._ends + self._reach):
                self._found_from = np.minimum(self._found_from, self._first[edge])
                self._cover(edge[~self._anomalous[edge]])

    def _cover(self, edge: Ints) -> None:
        taken = self._distance[edge] > 0
        fresh, again = edge[~taken], edge[taken]
        again = again[~self._shared[again]]
        self._distance[fresh] = self._reach
        self._shared[again] = True
        self._alone_at[self._reach] += np.bincount(self._first[fresh], minlength=THRESHOLDS + 1)
        np.add.at(self._alone_at, (self._distance[again], self._first[again]), -1)
        self._shared_at += np.bincount(self._first[again], minlength=THRESHOLDS + 1)

    def soft_labels(self, length: int) -> Floats:
        """Sum the soft labels of the buffer rows first predicted at each threshold."""
        weight = np.sqrt(1 - np.arange(self._reach + 1) / max(length, 1))
        total = weight @ self._alone_at[: self._reach + 1] + self._shared_at
        return np.asarray(total[:THRESHOLDS], dtype=np.float64)

    def existence(self) -> Floats:
        """Return the share of buffered anomalies with a predicted row, at each threshold."""
        apart = self._starts[1:] - self._reach > self._ends[:-1] + self._reach
        groups = np.flatnonzero(np.concatenate([[True], apart]))
        return _at_each_threshold(np.minimum.reduceat(self._found_from, groups)) / len(groups)


def _first_threshold(score: Floats) -> Ints:
    """Index of the highest threshold that each score reaches."""
    ranks = np.linspace(0, len(score) - 1, THRESHOLDS).astype(np.int64)
    ascending = np.sort(score)[::-1][ranks][::-1]
    return THRESHOLDS - np.searchsorted(ascending, score, side="right")


def _at_each_threshold(first: Ints) -> Floats:
    """Count what is predicted at each threshold, given where each item is predicted first."""
    counts = np.bincount(first, minlength=THRESHOLDS + 1)[:THRESHOLDS]
    return np.cumsum(counts).astype(np.float64)


def _positions(rows: int, sequence: Machines | None, pad: int) -> Ints:
    """Lay the sequences out one after another with `pad` empty cells before each."""
    code = np.zeros(rows, np.int64) if sequence is None else machine_codes(sequence)[0]
    order = np.argsort(code, kind="stable")
    cells = np.empty(rows, dtype=np.int64)
    cells[order] = np.arange(rows) + (code[order] + 1) * pad
    return cells


def _runs(flags: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """First and last index of each run of True; both ends of `flags` are False."""
    steps = np.diff(flags.astype(np.int8))
    return np.flatnonzero(steps == 1) + 1, np.flatnonzero(steps == -1)
