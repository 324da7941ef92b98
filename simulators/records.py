"""Readings as the JSON values that travel on the wire: `reading`, `long` and `window` records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from simulators.stream import Chunk, joined

Record = dict[str, Any]
_UNITS: dict[Literal["s", "ms", "us", "ns"], int]
_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
QUARTER_NS = 15 * 60 * 10**9
"""No time zone changes its offset within a quarter of an hour."""


def reading_records(
    chunk: Chunk, *, zone: ZoneInfo | None = None, label: str | None = None
) -> Iterator[Record]:
    """Yield one `reading` record for each row; a lost value is null.

    Parameters
    ----------
    chunk : Chunk
        Rows (n).
    zone : ZoneInfo, optional
        Write times as naive local time of this zone instead of RFC 3339 UTC. In the hour that a
        clock repeats in autumn such times are ambiguous, as they are in real files.
    label : str, optional
        Name of an extra field with the label 0 or 1.
    """
    names = chunk.layout.sensor_names
    rows = zip(chunk.machine_id.tolist(), time_texts(chunk.time, zone), _cells(chunk), strict=True)
    for (machine, time, values), mark in zip(rows, chunk.label.tolist(), strict=True):
        record = {
            "machine_id": machine,
            "time": time,
            "values": dict(zip(names, values, strict=True)),
        }
        yield record if label is None else record | {label: mark}


def long_records(
    chunk: Chunk, *, zone: ZoneInfo | None = None, label: str | None = None
) -> Iterator[Record]:
    """Yield one `long` record for each value that was delivered; parameters as above."""
    for reading in reading_records(chunk, zone=zone, label=label):
        values = reading.pop("values")
        extra = {} if label is None else {label: reading.pop(label)}
        for name, value in values.items():
            if value is not None:
                yield reading | {"sensor": name, "value": value} | extra


def window_records(
    chunks: Iterable[Chunk], length: int, *, label: str | None = None
) -> Iterator[Record]:
    """Yield `window` records of `length` rows, on the grid with origin epoch 0.

    Only whole windows are made. A lost cell is 0 under a true `mask`. The rows of each machine
    must come in order of time, without `disorder_s`.
    """
    started: dict[int, Chunk] = {}
    for chunk in chunks:
        for machine in np.unique(chunk.machine).tolist():
            rows = chunk[chunk.machine == machine]
            rows = joined([started[machine], rows]) if machine in started else rows
            whole, started[machine] = _whole_windows(rows, length)
            yield from (_window(window, label) for window in whole)


def time_texts(time: NDArray[np.int64], zone: ZoneInfo | None = None) -> list[str]:
    """Return times as RFC 3339 UTC, or as naive local time of `zone`, whole seconds if they are.

    Examples
    --------
    >>> time_texts(np.array([1_704_067_200_000_000_000]))
    ['2024-01-01T00:00:00Z']
    >>> time_texts(np.array([1_704_067_200_500_000_000]), ZoneInfo("Europe/Berlin"))
    ['2024-01-01T01:00:00.500']
    """
    unit = next(name for name, ns in _UNITS.items() if not (time % ns).any())
    texts: list[str] = np.datetime_as_string(local_time(time, zone), unit=unit).tolist()
    return texts if zone else [text + "Z" for text in texts]


def local_time(time: NDArray[np.int64], zone: ZoneInfo | None) -> NDArray[np.datetime64]:
    """Return the wall-clock times of `zone` (UTC when None)."""
    if zone is not None:
        quarter, where = np.unique(time // QUARTER_NS, return_inverse=True)
        offset = [_offset_ns(int(number) * QUARTER_NS, zone) for number in quarter]
        time = time + np.array(offset, dtype=np.int64)[where]
    return time.astype("datetime64[ns]")


def time_zone(name: str) -> ZoneInfo:
    """Return the named zone, such as Europe/Berlin, or raise ValueError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"time zone {name!r} is not known; give one as Europe/Berlin") from None


def _offset_ns(time: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(time // 10**9, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() * 1e9)


def _cells(chunk: Chunk) -> list[list[float | None]]:
    """Return the values with None for NaN: JSON knows no NaN."""
    rows: list[list[float | None]] = chunk.values.tolist()
    for row, column in np.argwhere(np.isnan(chunk.values)).tolist():
        rows[row][column] = None
    return rows


def _whole_windows(rows: Chunk, length: int) -> tuple[list[Chunk], Chunk]:
    """Cut the rows of one machine into whole windows and what is left of the last."""
    slot = rows.time // round(rows.layout.period_s * 1e9)
    begin = int(-slot[0] % length)
    end = begin + max(0, len(rows) - begin) // length * length
    return [rows[at : at + length] for at in range(begin, end, length)], rows[end:]


def _window(rows: Chunk, label: str | None) -> Record:
    missing = np.isnan(rows.values)
    record: Record = {
        "machine_id": str(rows.machine_id[0]),
        "start": time_texts(rows.time[:1])[0],
        "period_s": rows.layout.period_s,
        "sensors": list(rows.layout.sensor_names),
        "values": np.where(missing, 0.0, rows.values).tolist(),
    }
    if missing.any():
        record["mask"] = missing.tolist()
    return record if label is None else record | {label: int(rows.label.any())}
