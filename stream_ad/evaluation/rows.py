"""Rows of a recording: their labels, their machines, and what the windows say about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream_ad.errors import InputError

Machines = Sequence[Any] | NDArray[Any]


def machine_codes(*machines: Machines) -> list[NDArray[np.int64]]:
    """Give machines whole numbers, in order of appearance, the same in every array.

    Parameters
    ----------
    *machines : (n,) sequences of str
        Machine of each row or window; the lengths may differ.

    Returns
    -------
    list of (n,) int64 arrays

    Examples
    --------
    >>> [codes.tolist() for codes in machine_codes(["b", "a", "b"], ["a", "c"])]
    [[0, 1, 0], [1, 2]]
    """
    numbers: dict[Any, int] = {}
    return [
        np.fromiter((numbers.setdefault(name, len(numbers)) for name in names), np.int64)
        for names in (part.tolist() if isinstance(part, np.ndarray) else part for part in machines)
    ]


def row_labels(label: ArrayLike) -> NDArray[np.float64]:
    """Check labels and return them as floats.

    Parameters
    ----------
    label : (n,) array of 0, 1, bool or NaN
        1 = anomalous, 0 = normal, NaN = nobody has said.

    Raises
    ------
    InputError
        A label is something else, or the array is not one column.

    Examples
    --------
    >>> row_labels([False, True])
    array([0., 1.])
    """
    try:
        values = np.asarray(label, dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{error}: allowed labels are 0, 1 or empty") from error
    if values.ndim != 1:
        raise InputError(f"labels have shape {values.shape}: allowed is one label per row")
    wrong = values[~((values == 0) | (values == 1) | np.isnan(values))]
    if wrong.size:
        raise InputError(f"label = {wrong[0]:g}: allowed is 0 (normal), 1 (anomalous) or empty")
    return values


def row_scores(score: ArrayLike, rows: int) -> NDArray[np.float64]:
    """Check scores; a row without a score (NaN) takes the lowest rank, minus infinity.

    Raises
    ------
    InputError
        There is not exactly one score per label.

    Examples
    --------
    >>> row_scores([0.5, float("nan")], rows=2)
    array([ 0.5, -inf])
    """
    values = np.asarray(score, dtype=np.float64)
    if values.shape != (rows,):
        raise InputError(f"scores have shape {values.shape}: allowed is ({rows},), one per label")
    return np.where(np.isnan(values), -np.inf, values)


def rows_from_windows(  # noqa: PLR0917 - two tables column by column: rows, then windows
    row_machine: Machines,
    row_time: ArrayLike,
    win_machine: Machines,
    win_end: ArrayLike,
    win_score: ArrayLike,
    win_alarm: ArrayLike,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Give each row the score and alarm of its machine's latest window that ended by then.

    Only what was known at a row's time is used: of the same machine, the window with the
    greatest end <= the row's time. Rows and windows may come in any order; of two windows
    with one end the later given counts. A score stays until the next window ends, however
    long that takes, so rows after a gap carry a score from before it.

    Parameters
    ----------
    row_machine : (n,) sequence
        Machine of each row.
    row_time : (n,) int64
        Time of each row, nanoseconds since the epoch, UTC.
    win_machine : (w,) sequence
        Machine of each scored window.
    win_end : (w,) int64
        Exclusive end of each window's content, nanoseconds.
    win_score : (w,) float
        Score of each window.
    win_alarm : (w,) bool
        Whether the window alarmed.

    Returns
    -------
    score : (n,) float64
        NaN before the machine's first window ended.
    alarm : (n,) bool
        False before the machine's first window ended.

    Examples
    --------
    >>> score, alarm = rows_from_windows(
    ...     ["a", "a", "b"], [9, 10, 10], ["a"], [10], [2.5], [True]
    ... )
    >>> score, alarm
    (array([nan, 2.5, nan]), array([False,  True, False]))
    """
    of_window, of_row = machine_codes(win_machine, row_machine)
    code = np.concatenate([of_window, of_row])
    time = np.concatenate([np.asarray(win_end, np.int64), np.asarray(row_time, np.int64)])
    # The sort is stable and windows come first, so a window precedes the rows at its end.
    order = np.lexsort((time, code))
    windows = len(of_window)
    place = np.where(order < windows, np.arange(len(order)), -1)
    latest = np.maximum.accumulate(place) if len(order) else place
    source = np.where(latest >= 0, order[latest], -1)
    is_row = order >= windows
    row, window = order[is_row] - windows, source[is_row]
    known = (window >= 0) & (code[window] == code[order[is_row]])
    row, window = row[known], window[known]

    score = np.full(len(of_row), np.nan)
    alarm = np.zeros(len(of_row), dtype=np.bool_)
    score[row] = np.asarray(win_score, np.float64)[window]
    alarm[row] = np.asarray(win_alarm, np.bool_)[window]
    return score, alarm
