"""How times are written: epoch unit, ISO text, or a pattern of ``strptime``."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stream_ad.config import CsvConfig, InputConfig
from stream_ad.inspection.cells import Column
from stream_ad.inspection.names import plain
from stream_ad.transport.times import NAT, TimeReader

Unit = Literal["s", "ms", "us", "ns"]
_READABLE = 0.9
_TRIED = 200
_DATES = (
    (r"(\d{1,2})\.(\d{1,2})\.\d{4}", ("%d.%m.%Y",)),
    (r"(\d{1,2})/(\d{1,2})/\d{4}", ("%m/%d/%Y", "%d/%m/%Y")),
    (r"(\d{1,2})-(\d{1,2})-\d{4}", ("%d-%m-%Y", "%m-%d-%Y")),
    (r"\d{4}/\d{1,2}/\d{1,2}", ("%Y/%m/%d",)),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", ("%Y.%m.%d",)),
    (r"(\d{1,2})\.(\d{1,2})\.\d{2}", ("%d.%m.%y",)),
    (r"(\d{1,2})/(\d{1,2})/\d{2}", ("%m/%d/%y", "%d/%m/%y")),
    (r"\d{4}-\d{1,2}-\d{1,2}", ("%Y-%m-%d",)),
    (r"\d{8}", ("%Y%m%d",)),
    (r"\d{1,2}-[A-Za-z]{3}-\d{4}", ("%d-%b-%Y",)),
    (r"\d{1,2}-[A-Za-z]{3}-\d{2}", ("%d-%b-%y",)),
    (r"\d{1,2} [A-Za-z]{3} \d{4}", ("%d %b %Y",)),
    (r"[A-Za-z]{3} \d{1,2},? \d{4}", ("%b %d, %Y", "%b %d %Y")),
)
_CLOCKS = (
    (r"\d{1,2}:\d\d", "%H:%M"),
    (r"\d{1,2}:\d\d:\d\d", "%H:%M:%S"),
    (r"\d{1,2}:\d\d:\d\d\.\d+", "%H:%M:%S.%f"),
    (r"\d{1,2}:\d\d:\d\d,\d+", "%H:%M:%S,%f"),
    (r"\d{1,2}:\d\d [AaPp][Mm]", "%I:%M %p"),
    (r"\d{1,2}:\d\d:\d\d [AaPp][Mm]", "%I:%M:%S %p"),
    (r"\d{4}", "%H%M"),
    (r"\d{6}", "%H%M%S"),
)
_ZONE = re.compile(r"(?: ?)(Z|[+-]\d\d:?\d\d)$")
_HAS_ZONE = r"(?:[Zz]|:\d\d(?:[.,]\d+)? ?[+-]\d\d(?::?\d\d)?)$"
CLOCK_ONLY = re.compile(r"\d{1,2}:\d\d(:\d\d([.,]\d+)?)?( ?[AaPp][Mm])?")
_UNITS: dict[str, Unit] = {"s": "s", "ms": "ms", "us": "us", "ns": "ns"}


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a column of times reads.

    Parameters
    ----------
    time : int64 array (n,)
        Nanoseconds since the epoch, ``NAT`` where unreadable.
    why : str
        For a comment in the config.
    unit : str, optional
        Of epoch numbers.
    pattern : str, optional
        Of ``strptime``, where the text is not ISO.
    naive : bool
        Whether it is local time of a zone that the text does not name.
    doubt : str
        What could also be meant.
    """

    time: NDArray[np.int64]
    why: str
    unit: Unit | None = None
    pattern: str | None = None
    naive: bool = False
    doubt: str = ""


def spell(column: Column, time_zone: str | None = None) -> Spelling | None:
    """Find out how a column of times is written.

    Parameters
    ----------
    column : Column
    time_zone : str, optional
        Of naive times.

    Returns
    -------
    Spelling or None
        None where less than nine in ten cells read as times.

    Examples
    --------
    >>> spell(Column.of("t", pa.array(["31.12.2024 23:59", "01.01.2025 00:00"]))).pattern
    '%d.%m.%Y %H:%M'
    >>> spell(Column.of("t", pa.array([1700000000, 1700000060]))).unit
    's'
    """
    if column.kind in {"empty", "nested", "boolean"}:
        return None
    if column.kind == "time":
        if not any(test(column.cells.type) for test in (pa.types.is_timestamp, pa.types.is_date)):
            return None
        time = _read(column.cells, time_zone=time_zone)
        naive = not getattr(column.cells.type, "tz", None)
        return Spelling(time, "timestamps of the file", naive=naive)
    texts = None if _is_number(column.cells) else pc.utf8_trim_whitespace(column.cells)
    if column.kind == "number" and (found := _epoch(column, time_zone)):
        return found
    return None if texts is None else _text(texts, time_zone)


def _is_number(cells: pa.Array) -> bool:
    kind = cells.type
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(test(kind) for test in tests)


def _read(cells: pa.Array, **settings: Any) -> NDArray[np.int64]:
    return TimeReader(InputConfig(**settings)).column(cells, Counter())


def _readable(time: NDArray[np.int64]) -> float:
    return float((time != NAT).mean()) if len(time) else 0.0


def _epoch(column: Column, zone: str | None) -> Spelling | None:
    """Judge the unit by magnitude: 1e9 s, 1e12 ms, 1e15 us and 1e18 ns all mean 2001."""
    finite = np.abs(column.numbers[np.isfinite(column.numbers)])
    size = float(np.quantile(finite, 0.5, method="lower"))
    if not _is_number(column.cells) and (packed := _text(column.cells, zone, packed=True)):
        return packed
    doubt = ""
    if size < 1e8:
        unit = next((u for u in ("ms", "us", "ns") if plain(column.name).endswith(u)), "s")
        doubt = (
            f"`{column.name}` counts from 0: taken as {unit} since the start, so every time"
            " shown lies shortly after 1970"
        )
    else:
        unit = "s" if size < 1e11 else "ms" if size < 1e14 else "us" if size < 1e17 else "ns"
    dialect = CsvConfig(delimiter=";", decimal=column.decimal)
    time = _read(column.cells, time_zone=zone, time_unit=_UNITS[unit], csv=dialect)
    if _readable(time) < _READABLE:
        return None
    return Spelling(time, f"epoch numbers around {size:.3g}", unit=_UNITS[unit], doubt=doubt)


def _text(texts: pa.Array, zone: str | None, *, packed: bool = False) -> Spelling | None:
    if not packed:
        time = _read(texts, time_zone=zone)
        if _readable(time) >= _READABLE:
            zoned = pc.mean(pc.match_substring_regex(texts, _HAS_ZONE).cast(pa.int8())).as_py()
            return Spelling(time, "ISO 8601 / RFC 3339 text", naive=(zoned or 0) < 0.5)
    patterns = _patterns(texts, packed)
    if not patterns:
        return None
    read = [(_read(texts, time_zone=zone, time_format=pattern), pattern) for pattern in patterns]
    read = [found for found in read if _readable(found[0]) >= _READABLE]
    if not read:
        return None
    best = max(_readable(time) for time, _ in read)
    read = [(time, pattern) for time, pattern in read if _readable(time) >= best]
    read.sort(key=lambda found: _backwards(found[0]))  # stable: a draw goes to the first
    time, pattern = read[0]
    doubt = ""
    if len(read) > 1 and _backwards(read[1][0]) == _backwards(time):
        doubt = (
            f"the times could be `{pattern}` or `{read[1][1]}`: no day above 12 and no order"
            " tells them apart; the first is taken"
        )
    why = f"such as {next(t for t in texts.to_pylist() if t)!r}"
    return Spelling(time, why, pattern=pattern, naive="%z" not in pattern, doubt=doubt)


def _backwards(time: NDArray[np.int64]) -> int:
    """Count steps back in file order: the wrong order of day and month makes many."""
    return int((np.diff(time[time != NAT]) < 0).sum())


def _patterns(texts: pa.Array, packed: bool) -> list[str]:
    """Return the patterns of ``strptime`` that fit the form of most of some texts."""
    there = texts.drop_null()
    if not len(there):
        return []
    some = there.take(pa.array(np.linspace(0, len(there) - 1, _TRIED).astype(int)))
    forms = Counter(form for text in some.to_pylist() if text for form in _forms(text))
    if not forms:
        return []
    most = max(forms.values())
    wanted = [form for form, count in forms.items() if count >= most]
    return [form for form in wanted if not packed or form.startswith("%Y%m%d")]


def _forms(text: str) -> list[str]:
    zone = _ZONE.search(text)
    spaced = zone is not None and zone[0].startswith(" ")
    rest = text[: zone.start()] if zone else text
    ending = "" if zone is None else " %z" if spaced else "%z"
    for date, patterns in _DATES:
        found = re.match(date, rest)
        if found is None:
            continue
        after = rest[found.end() :]
        if not after:
            return list(patterns)
        joint = re.match(r"[T ,_-]*", after)
        assert joint is not None  # it may be empty
        clock = after[joint.end() :]
        for form, pattern in _CLOCKS:
            if re.fullmatch(form, clock):
                return [f"{p}{joint[0]}{pattern}{ending}" for p in patterns]
    return []
