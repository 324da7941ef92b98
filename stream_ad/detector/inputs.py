"""Arrays that users give, checked and brought into the shape of windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream_ad.errors import InputError


def as_windows(X: ArrayLike, name: str, wanted: tuple[int, int] | None) -> NDArray[np.float32]:
    """Return rows or windows as float32 ``(n, T, C)``; the input is left as it is.

    Parameters
    ----------
    X : float array (n, d) or (n, T, C)
        NaN = missing; so do infinite values and those beyond float32. A row of a table is
        a window of one slot.
    name : str
        What the message calls it.
    wanted : (int, int), optional
        T and C that it must have.

    Raises
    ------
    InputError
        For anything but numbers, and for another shape: names the one given and the one
        wanted.

    Examples
    --------
    >>> as_windows([[1, 2], [3, np.inf]], "X", None)
    array([[[ 1.,  2.]],
    <BLANKLINE>
           [[ 3., nan]]], dtype=float32)
    """
    try:
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and so missing
            values = np.ascontiguousarray(X, np.float32)
    except (TypeError, ValueError) as cause:
        raise InputError(f"{name} holds something that is not a number: {cause}") from cause
    given = values.shape
    if values.ndim == 2 and (wanted is None or wanted[0] == 1):
        values = values[:, None, :]
    if values.ndim != 3 or 0 in values.shape[1:] or wanted not in (None, values.shape[1:]):
        shape = "(n, d) or (n, T, C)" if wanted is None else f"(n, {wanted[0]}, {wanted[1]})"
        raise InputError(f"{name} has shape {given}; wanted is {shape}")
    infinite = np.isinf(values)
    return np.where(infinite, np.float32(np.nan), values) if infinite.any() else values


def as_negatives(X: ArrayLike, wanted: tuple[int, int]) -> NDArray[np.float32]:
    """Return negatives as windows ``(p, T, C)``, without those that hold no value at all.

    Parameters
    ----------
    X : float array (p, d) or (p, T, C)
        As for `as_windows`.
    wanted : (int, int)
        T and C of the history.

    Raises
    ------
    InputError
        As `as_windows`, and where no negative holds a value.

    Examples
    --------
    >>> as_negatives([[1, 2], [np.nan, np.nan]], (1, 2))
    array([[[1., 2.]]], dtype=float32)
    """
    values = as_windows(X, "negatives", wanted)
    known = values[~np.isnan(values).all((1, 2))]
    if not len(known):
        raise InputError(
            f"negatives holds {len(values)} windows, none of them with a value; "
            "wanted is at least one that has some, or None"
        )
    return known
