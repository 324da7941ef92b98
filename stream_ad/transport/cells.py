"""Sensor values of any spelling to float32: one meaning for CSV, Parquet and JSON.

Missing are: nothing, the usual words for it, NaN, the infinities. Text that is no number is
missing and counted ``not_a_number``, as is a boolean; a number too large for float32 is
missing and counted ``out_of_float32``. Every path rounds text to float64, then to float32.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MISSING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "N/A", "n/a", "NA", "<NA>", "NULL", "null", "None", "none"}
    | {"NaN", "nan", "-NaN", "-nan", "NAN", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN"}
)
NUMBERS = frozenset({int, float, type(None)})  # a cell of these kinds needs no second look
_BEYOND = (1 << 1024) - (1 << 970)  # rounds to infinity
_SPACES = " \t\r\n\v\f"
_NUMBER = (
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    r"|(?i:inf|infinity|nan(?:\([a-z0-9_]*\))?))"
)
_NUMBER_PATTERN = re.compile(_NUMBER)
_MISSING_WORDS = pa.array(sorted(MISSING))


def to_float32(values: NDArray[np.float64], counts: Counter[str]) -> NDArray[np.float32]:
    """Round to float32; what is not finite becomes the one NaN, and -0 becomes 0.

    Examples
    --------
    >>> counts = Counter()
    >>> to_float32(np.array([1.5, np.inf, 1e300]), counts), dict(counts)
    (array([1.5, nan, nan], dtype=float32), {'out_of_float32': 1})
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
    rounded += np.float32(0)  # JSON has no whole number -0, so no path may keep it
    bad = ~np.isfinite(rounded)
    if bad.any():
        if large := int(np.isfinite(values[bad]).sum()):
            counts["out_of_float32"] += large
        rounded[bad] = np.nan
    return rounded


def one_number(cell: object, counts: Counter[str]) -> float | None:
    """Return the number in a JSON value, or None where it is missing.

    Examples
    --------
    >>> counts = Counter()
    >>> [one_number(cell, counts) for cell in (1, "2.5", None, "warm", True)], dict(counts)
    ([1.0, 2.5, None, None, None], {'not_a_number': 2})
    """
    kind = type(cell)
    if kind is float or cell is None:
        return cell  # type: ignore[return-value]  # `kind` says so
    if kind is int:
        return float(cell) if abs(cell) < _BEYOND else np.inf  # type: ignore[arg-type]  # likewise
    if kind is str:
        text = cell.strip(_SPACES)  # type: ignore[attr-defined]  # likewise
        if text in MISSING:
            return None
        if _NUMBER_PATTERN.fullmatch(text):
            return float(text.partition("(")[0])
    counts["not_a_number"] += 1
    return None


def number_rows(rows: list[list[float | None]], columns: int) -> NDArray[np.float64]:
    """Return rows of numbers as float64 array (n, columns), NaN for None.

    Examples
    --------
    >>> number_rows([[1, None]], 2)
    array([[ 1., nan]])
    """
    try:
        return np.array(rows, np.float64).reshape(len(rows), columns)
    except OverflowError:  # JSON knows larger whole numbers than a float64 can hold
        ignored: Counter[str] = Counter()
        return number_rows([[one_number(cell, ignored) for cell in row] for row in rows], columns)


def number_column(
    values: pa.Array, counts: Counter[str], decimal: str = "."
) -> NDArray[np.float64]:
    """Return a column of numbers or text as float64, NaN where missing.

    Parameters
    ----------
    values : Array (n,)
        Numbers, text or booleans.
    counts : Counter
        Takes ``not_a_number``.
    decimal : str
        The decimal sign of text.

    Examples
    --------
    >>> counts = Counter()
    >>> number_column(pa.array([" 1,5", "x", ""]), counts, ","), dict(counts)
    (array([1.5, nan, nan]), {'not_a_number': 1})
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return number_column(values.cast(kind.value_type), counts, decimal)
    if pa.types.is_boolean(kind):
        if marked := len(values) - values.null_count:
            counts["not_a_number"] += marked
        return np.full(len(values), np.nan)
    if pa.types.is_decimal(kind):  # its own way to float64 rounds differently than text
        values = values.cast(pa.string())
    elif pa.types.is_string(kind):
        values = _numbers_in(values, counts, decimal)
    return _as_float64(values)


def _as_float64(values: pa.Array) -> NDArray[np.float64]:
    if values.type != pa.float64():
        values = values.cast(pa.float64(), safe=False)
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)


def _numbers_in(values: pa.Array, counts: Counter[str], decimal: str) -> pa.Array:
    text = pc.utf8_trim(values, characters=_SPACES)
    missing = pc.or_(pc.is_null(text), pc.is_in(text, value_set=_MISSING_WORDS))
    pattern = _NUMBER if decimal == "." else _NUMBER.replace(r"\.", decimal)
    number = pc.fill_null(pc.match_substring_regex(text, f"^(?:{pattern})$"), False)
    if strange := pc.sum(pc.invert(pc.or_(missing, number))).as_py():
        counts["not_a_number"] += strange
    text = pc.if_else(pc.and_not(number, missing), text, None)
    text = pc.replace_substring(text, decimal, ".") if decimal != "." else text
    return pc.replace_substring_regex(text, r"\(.*$", "")
