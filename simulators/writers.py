"""Streams into files, in the dialects that people's own files come in."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulators.dialect import Dialect
from simulators.faults import Fault
from simulators.records import long_records, reading_records, time_texts, window_records
from simulators.stream import Chunk, Layout


def write_csv(chunks: Iterable[Chunk], path: Path, dialect: Dialect) -> int:
    """Write CSV with a header line and return the number of readings; a lost value is empty."""
    dialect.refuse_windows("csv")
    lines = _long_lines if dialect.record == "long" else _reading_lines
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for chunk in chunks:
            if count == 0:
                file.write(dialect.delimiter.join(_header(chunk.layout, dialect)) + "\n")
            file.writelines(line + "\n" for line in lines(chunk, dialect))
            count += len(chunk)
    return count


def write_jsonl(chunks: Iterable[Chunk], path: Path, dialect: Dialect) -> int:
    """Write one JSON record per line and return the number of readings."""
    count = 0

    def counted() -> Iterator[Chunk]:
        nonlocal count
        for chunk in chunks:
            count += len(chunk)
            yield chunk

    with path.open("w", encoding="utf-8") as file:
        for record in records_of(counted(), dialect):
            file.write(json.dumps(record, separators=(",", ":")) + "\n")
    return count


def write_parquet(chunks: Iterable[Chunk], path: Path, dialect: Dialect) -> int:
    """Write Parquet and return the number of readings; ValueError without pyarrow."""
    try:
        from simulators import parquet
    except ImportError:
        raise ValueError("format: parquet needs pyarrow; install it or choose csv") from None
    return parquet.write_parquet(chunks, path, dialect)


WRITERS: dict[str, Callable[[Iterable[Chunk], Path, Dialect], int]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


def write_faults(faults: Sequence[Fault], path: Path, layout: Layout, start_ns: int) -> None:
    """Write the truth: `machine_id, kind, sensors, start, end, severity`, times in UTC.

    `end` is the time of the first reading after the fault; sensors are joined by blanks.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["machine_id", "kind", "sensors", "start", "end", "severity"])
        for fault in faults:
            slots = np.array(fault.slots(layout.period_s), dtype=np.int64)
            span = time_texts(start_ns + slots * round(layout.period_s * 1e9))
            sensors = " ".join(fault.sensors or layout.sensor_names)
            table.writerow([fault.machine_id, fault.kind, sensors, *span, fault.severity])


def _header(layout: Layout, dialect: Dialect) -> list[str]:
    columns = ["sensor", "value"] if dialect.record == "long" else layout.sensor_names
    label = [] if dialect.label is None else [dialect.label]
    return ["time", "machine_id", *columns, *label]


def _numbers(chunk: Chunk, dialect: Dialect) -> list[list[str]]:
    """Return the values as text, each with its sensor's decimals; NaN is empty."""
    forms = [f"%.{sensor.decimals}f" for sensor in chunk.layout.sensors]
    form = " ".join(forms)
    rows = ((form % tuple(row)).replace(".", dialect.decimal) for row in chunk.values.tolist())
    return [row.replace("nan", "").split(" ") for row in rows]


def _labels(chunk: Chunk, dialect: Dialect) -> list[list[str]]:
    if dialect.label is None:
        return [[]] * len(chunk)
    return [[str(mark)] for mark in chunk.label.tolist()]


def _reading_lines(chunk: Chunk, dialect: Dialect) -> Iterator[str]:
    times = time_texts(chunk.time, dialect.zone)
    columns = (times, chunk.machine_id.tolist(), _numbers(chunk, dialect), _labels(chunk, dialect))
    for time, machine, numbers, label in zip(*columns, strict=True):
        yield dialect.delimiter.join([time, machine, *numbers, *label])


def _long_lines(chunk: Chunk, dialect: Dialect) -> Iterator[str]:
    names = chunk.layout.sensor_names
    times = time_texts(chunk.time, dialect.zone)
    columns = (times, chunk.machine_id.tolist(), _numbers(chunk, dialect), _labels(chunk, dialect))
    for time, machine, numbers, label in zip(*columns, strict=True):
        for name, number in zip(names, numbers, strict=True):
            if number:
                yield dialect.delimiter.join([time, machine, name, number, *label])


def records_of(chunks: Iterable[Chunk], dialect: Dialect) -> Iterator[dict[str, Any]]:
    """Yield the JSON records of a stream, of the kind that the dialect says."""
    if dialect.record == "window":
        yield from window_records(chunks, dialect.window_length, label=dialect.label)
        return
    records = long_records if dialect.record == "long" else reading_records
    for chunk in chunks:
        yield from records(chunk, zone=dialect.zone, label=dialect.label)
