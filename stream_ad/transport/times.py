"""Times of any spelling to nanoseconds: one meaning, by the value or by the column.

=====================================  ====================================================
what stands in the record              how it reads
=====================================  ====================================================
``2024-01-01T10:00:00.5Z``, ``+02:00``  RFC 3339; a space for the T and a missing time of day
                                       are allowed, digits after the nanosecond are dropped
the same without a zone                local time of ``input.time_zone``; without that setting
                                       UTC, counted as ``naive_time_as_utc``
whole number, or text of one           epoch in ``input.time_unit``
number with decimals, or text of one   likewise, rounded to the microsecond (a float has no more);
                                       in a column of text with the sign of ``csv.decimal``
text, with ``input.time_format``       that pattern of ``datetime.strptime``; what does not fit it
                                       may be RFC 3339 with its zone, and nothing else
=====================================  ====================================================

Times before 1970 and after 2261 are unreadable. ``local_time`` says what becomes of the hours at
which clocks are moved.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stream_ad.config import InputConfig
from stream_ad.transport.distinct import distinct
from stream_ad.transport.local_time import offset_ns, offsets_ns
from stream_ad.transport.time_pattern import TimePattern

NS = 1_000_000_000
NAT = int(np.iinfo(np.int64).min)  # an unreadable time; the same bits as numpy's NaT
UNIT_NS = {"s": NS, "ms": 1_000_000, "us": 1_000, "ns": 1}
ALLOWED = "RFC 3339 text, an epoch number in input.time_unit, or text as input.time_format says"

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_NS = 86_400 * NS
_FIRST = 0  # with no time before the epoch, no two differ by more than int64 holds
_AFTER = (date(2262, 1, 1).toordinal() - _EPOCH_DAY) * _DAY_NS  # leaves room for grid arithmetic
_LONGEST = 64

_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?)?"
    r" ?(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA = r"^(\s*[+-]?[0-9]*),([0-9]*(?:[eE][+-]?[0-9]+)?\s*)$"  # in a number, not in a date
_ZONED_END = re.compile(r".*:.*(?:[Zz]|[+-][0-9]{2}:?(?:[0-9]{2})?)")


class TimeReader:
    """Reads times as ``input`` describes them.

    Parameters
    ----------
    config : InputConfig
        ``time_unit``, ``time_zone``, ``time_format`` and ``csv.decimal`` are used.

    Raises
    ------
    ConfigError
        For a pattern that ``strptime`` does not know.

    Examples
    --------
    >>> counts = Counter()
    >>> read = TimeReader(InputConfig(time_zone="Europe/Berlin"))
    >>> read.one("2024-07-01 02:00", counts) == read.one("2024-07-01T00:00:00Z", counts)
    True
    >>> read.column(pa.array(["1000", "soon"]), counts).tolist() == [10**9, NAT]
    True
    """

    def __init__(self, config: InputConfig) -> None:
        self._unit = UNIT_NS[config.time_unit]
        self._zone = None if config.time_zone is None else ZoneInfo(config.time_zone)
        self._comma = config.csv.decimal == ","
        self._pattern = None if config.time_format is None else TimePattern(config.time_format)

    def one(self, value: object, counts: Counter[str]) -> int:
        """Return nanoseconds since the epoch, UTC, or ``NAT``."""
        if type(value) is int:
            return _in_range(value * self._unit)
        if type(value) is str:
            return self._text(value, counts)
        if type(value) is float:
            return self._float(value)
        return NAT

    def column(self, values: pa.Array, counts: Counter[str]) -> NDArray[np.int64]:
        """Return the same for a column of text, numbers, timestamps or dates."""
        kind = values.type
        if pa.types.is_dictionary(kind):
            return self.column(values.cast(kind.value_type), counts)
        if pa.types.is_timestamp(kind):
            times = _scaled(values.cast(pa.int64()), UNIT_NS[kind.unit])
            return times if kind.tz else self._localise(times, counts)
        if pa.types.is_date(kind):
            days = values.cast(pa.timestamp("s")).cast(pa.int64())
            return self._localise(_scaled(days, NS), counts)
        if pa.types.is_integer(kind):
            return _scaled(values, self._unit)
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return self._floats(values)
        return self._texts(values, counts)

    def _text(self, text: str, counts: Counter[str]) -> int:
        text = text.strip()
        if self._pattern is not None:
            return self._by_pattern(self._pattern, text, counts)
        if found := _ISO.fullmatch(text):
            return self._iso(found, counts)
        if len(text) > _LONGEST:
            return NAT
        if _WHOLE.fullmatch(text):
            return _in_range(int(text) * self._unit)
        return self._float(float(text)) if _DECIMAL.fullmatch(text) else NAT

    def _by_pattern(self, pattern: TimePattern, text: str, counts: Counter[str]) -> int:
        read = pattern.one(text)
        if read is not None:
            return self._zoned(*read, counts)
        # nothing else can be meant by a date, a clock and a zone
        found = _ISO.fullmatch(text)
        return self._iso(found, counts) if found and found["zone"] else NAT

    def _iso(self, found: re.Match[str], counts: Counter[str]) -> int:
        day, hour, minute, second, decimals, zone = found.groups()
        days = _days(day)
        h, m, s = int(hour or 0), int(minute or 0), int(second or 0)
        # a leap second, 60, is the first of the next minute
        if days is None or h > 23 or m > 59 or s > 60:
            return NAT
        ns = int(decimals[:9].ljust(9, "0")) if decimals else 0
        local = days * _DAY_NS + (h * 3600 + m * 60 + s) * NS + ns
        if zone is None:
            return self._zoned(local, None, counts)
        offset = _zone_ns(zone)
        return NAT if offset is None else _in_range(local - offset)

    def _float(self, value: float) -> int:
        micro = value * (self._unit / 1000)
        return _in_range(round(micro) * 1000) if abs(micro) < 9.2e15 else NAT

    def _floats(self, values: pa.Array) -> NDArray[np.int64]:
        numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):
            micro = numbers * (self._unit / 1000)
        good = np.abs(micro) < 9.2e15
        times = np.rint(np.where(good, micro, 0)).astype(np.int64) * 1000
        return _masked(times, good & (times >= _FIRST) & (times < _AFTER))

    def _zoned(self, local: int, offset: int | None, counts: Counter[str]) -> int:
        if offset is not None or _in_range(local) == NAT:
            return _in_range(local - (offset or 0))
        if self._zone is None:
            counts["naive_time_as_utc"] += 1
            return local
        return _in_range(local - offset_ns(local, self._zone))

    def _localise(self, local: NDArray[np.int64], counts: Counter[str]) -> NDArray[np.int64]:
        good = (local >= _FIRST) & (local < _AFTER)
        if self._zone is None:
            if naive := int(good.sum()):
                counts["naive_time_as_utc"] += naive
            return _masked(local, good)
        times = np.where(good, local, 0)
        times -= offsets_ns(times, self._zone)
        return _masked(times, good & (times >= _FIRST) & (times < _AFTER))

    def _texts(self, values: pa.Array, counts: Counter[str]) -> NDArray[np.int64]:
        if self._comma and self._pattern is None:
            values = pc.replace_substring_regex(values, _COMMA, r"\1.\2")
        alike = values if self._pattern is None else self._pattern.column(values)
        quick = None if alike is None else self._quick(alike, counts)
        if quick is not None:
            return quick
        texts, places = distinct(values)
        seen: Counter[str] = Counter()
        read, naive = [], []
        for text in texts:
            before = seen["naive_time_as_utc"]
            read.append(NAT if text is None else self._text(text, seen))
            naive.append(seen["naive_time_as_utc"] > before)
        if rows := int(np.array(naive)[places].sum()):
            counts["naive_time_as_utc"] += rows
        times: NDArray[np.int64] = np.array(read, np.int64)[places]
        return times

    def _quick(self, values: pa.Array, counts: Counter[str]) -> NDArray[np.int64] | None:
        """Let Arrow read a column of one spelling; None where it meets another."""
        first = next((v.as_py() for v in values if v.is_valid), "")
        try:
            if _WHOLE.fullmatch(first):
                whole = pc.all(pc.match_substring_regex(values, "^[+-]?[0-9]{1,18}$")).as_py()
                return _scaled(values.cast(pa.int64()), self._unit) if whole else None
            if _ZONED_END.fullmatch(first):
                return _scaled(values.cast(pa.timestamp("ns", "UTC")).cast(pa.int64()), 1)
            local = _scaled(values.cast(pa.timestamp("ns")).cast(pa.int64()), 1)
        except pa.ArrowInvalid:
            return None
        return self._localise(local, counts)


def _in_range(ns: int) -> int:
    return ns if _FIRST <= ns < _AFTER else NAT


def _masked(times: NDArray[np.int64], good: NDArray[np.bool_]) -> NDArray[np.int64]:
    return times if good.all() else np.where(good, times, NAT)


def _scaled(values: pa.Array, unit: int) -> NDArray[np.int64]:
    good = values.is_valid().to_numpy(zero_copy_only=False)
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    good = good & (numbers >= -(-_FIRST // unit)) & (numbers <= (_AFTER - 1) // unit)
    return _masked(np.where(good, numbers, 0).astype(np.int64) * unit, good)


@lru_cache(maxsize=4096)
def _days(text: str) -> int | None:
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH_DAY
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _zone_ns(text: str) -> int | None:
    if text in {"Z", "z"}:
        return 0
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        return None
    return (-1 if text[0] == "-" else 1) * (hours * 3600 + minutes * 60) * NS
