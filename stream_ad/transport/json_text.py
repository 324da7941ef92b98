"""JSON text to an object, within limits that hold before anything is built."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import orjson
from pydantic_core import from_json

from stream_ad.config import LimitsConfig
from stream_ad.transport.fields import Rejected, brief

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS_AND_QUOTES = b'[]{}"'
_OTHER_BYTES = bytes(set(range(256)) - set(_BRACKETS_AND_QUOTES))
_ALIKE = bytes.maketrans(b"{}", b"[]")


def parse_object(raw: bytes, limits: LimitsConfig) -> dict[str, Any]:
    """Return the JSON object in some bytes.

    Parameters
    ----------
    raw : bytes
    limits : LimitsConfig
        ``record_bytes`` and ``nesting`` are used.

    Raises
    ------
    Rejected
        For bytes beyond the limits, or that are no JSON object in UTF-8.

    Examples
    --------
    >>> parse_object(b'{"a": NaN}', LimitsConfig())
    {'a': nan}
    """
    if len(raw) > limits.record_bytes:
        message = f"record of {len(raw)} bytes: allowed are limits.record_bytes ="
        raise Rejected("RecordTooLarge", f"{message} {limits.record_bytes}")
    if not shallow(raw, limits.nesting):
        message = f"brackets nested deeper than limits.nesting = {limits.nesting}"
        raise Rejected("NestedTooDeep", message)
    try:
        tree = loads(raw)
    except ValueError as error:
        raise Rejected("InvalidJson", f"no JSON in UTF-8: {error}") from None
    if type(tree) is not dict:
        raise Rejected("InvalidRecord", f"record = {brief(tree)}: allowed is a JSON object")
    return tree


def loads(raw: bytes) -> Any:
    """Parse JSON, also what strict JSON lacks: NaN, the infinities, numbers beyond float64.

    Raises
    ------
    ValueError
        For bytes that are no JSON in UTF-8.

    Examples
    --------
    >>> loads(b'[1, -Infinity]')
    [1, -inf]
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        try:
            return from_json(raw, allow_inf_nan=True)
        except ValueError:
            raise error from None


def shallow(raw: bytes, limit: int) -> bool:
    """Return whether brackets nest at most so deep, before anything is built from them.

    Examples
    --------
    >>> shallow(b'[[1], ["[["]]', 2), shallow(b'[[1], [[2]]]', 2)
    (True, False)
    """
    if len(raw) <= limit or raw.count(b"[") + raw.count(b"{") <= limit:
        return True
    if b"\\" in raw:  # an escaped quote does not end a string
        raw = _STRING.sub(b"", raw)
    marks = raw.translate(_ALIKE, _OTHER_BYTES).replace(b'""', b"")
    marks = whole = _STRING.sub(b"", marks) if b'"' in marks else marks
    for _ in range(limit):  # without its innermost pairs a text is one level less deep
        outer = marks.replace(b"[]", b"")
        if not outer:
            return True
        if len(outer) == len(marks):
            break
        marks = outer
    steps = np.where(np.frombuffer(whole, np.uint8) == ord("["), 1, -1)
    return int(np.cumsum(steps).max(initial=0)) <= limit
