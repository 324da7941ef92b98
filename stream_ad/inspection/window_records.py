"""Recordings of windows that somebody else has made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from stream_ad.config import FieldsConfig, InputConfig, LimitsConfig, WindowsConfig
from stream_ad.errors import InputError
from stream_ad.inspection.cells import Column
from stream_ad.inspection.describe import NAIVE
from stream_ad.inspection.find_machine import find_machine
from stream_ad.inspection.find_time import asked_column
from stream_ad.inspection.names import listed
from stream_ad.inspection.nice import number
from stream_ad.inspection.result import Inspection
from stream_ad.inspection.roles import Asked, label_columns
from stream_ad.inspection.sample import Sample
from stream_ad.inspection.spelling import Spelling, spell
from stream_ad.windows.spec import NS

_STARTS = ("start", "window_start", "timestamp", "ts")


def are_windows(sample: Sample) -> bool:
    """Return whether the records are of the window shape: sensors, and rows of values."""
    record = sample.records[0] if sample.records else {}
    values = record.get("values")
    rows = values if isinstance(values, list) else []
    return bool(rows) and isinstance(rows[0], list) and isinstance(record.get("sensors"), list)


def inspect_windows(path: Path, sample: Sample, asked: Asked) -> Inspection:
    """Describe a file of window records; length, period and sensors stand in the records.

    Raises
    ------
    InputError
        Where the records have no start or no period, or lack an asked field.
    """
    columns = {name: Column.of(name, cells) for name, cells in sample.columns.items()}
    start, spelling = _start(path, columns, asked.time_column, asked.time_zone)
    labels = label_columns(path, columns, asked)
    marks = {start.name, "period_s", "sensors", "values", "mask", *labels}
    others = {name: column for name, column in columns.items() if name not in marks}
    if asked.machine_column is None:
        machine, why = find_machine(others, spelling.time, by_structure=False)
    else:
        machine = asked_column(path, columns, asked.machine_column, "--machine-column", marks)
        why = "as asked"
    period = _common(record.get("period_s") for record in sample.records)
    if not isinstance(period, int | float) or isinstance(period, bool) or period <= 0:
        raise InputError(f"{path}: the window records have no period_s above 0")
    sensors = list(_common(tuple(record.get("sensors", ())) for record in sample.records))
    length = int(_common(len(record.get("values", ())) for record in sample.records))
    naive = {"input.time_zone": NAIVE} if spelling.naive and asked.time_zone is None else {}
    names = FieldsConfig(machine_id=None if machine is None else machine.name, time=start.name)
    return Inspection(
        path=path,
        summary=f"{sample.rows:,} windows of {len(sensors)} sensors",
        input=InputConfig(
            format="window",
            fields=names,
            time_unit=spelling.unit or "ms",
            time_format=spelling.pattern,
            time_zone=asked.time_zone,
        ),
        windows=WindowsConfig(
            sensors=tuple(sensors),
            period_s=period,
            length=length,
            hop=_hop(machine, spelling, length, period),
        ),
        limits=LimitsConfig(record_bytes=max(LimitsConfig().record_bytes, 2 * sample.longest)),
        why={
            "input.format": "a record is a window that somebody else made",
            "input.fields.machine_id": why or "no column names machines: all is one machine",
            "input.fields.time": f"start of the window; {spelling.why}",
            "windows.period_s": "as the records say",
            "windows.length": f"rows in a record; {number(length * period)} s",
            "windows.hop": "slots from one start to the next",
            "limits.record_bytes": "twice the longest record",
        }
        | ({"input.time_unit": spelling.why} if spelling.unit else {})
        | naive,
        label_columns=labels,
        notes=[*sample.notes, *naive.values()],
    )


def _start(
    path: Path, columns: dict[str, Column], asked: str | None, zone: str | None
) -> tuple[Column, Spelling]:
    names = (
        _STARTS if asked is None else (asked_column(path, columns, asked, "--time-column").name,)
    )
    for name in names:
        # in a config of windows the time named `time` stands for `start`
        usable = name in columns and name != FieldsConfig().time
        if usable and (spelling := spell(columns[name], zone)):
            return columns[name], spelling
    allowed = f"{listed(_STARTS)}, or any name but `time` with --time-column"
    raise InputError(f"{path}: the window records have no readable start; allowed is {allowed}")


def _common(values: Iterable[Any]) -> Any:
    return Counter(values).most_common(1)[0][0]


def _hop(machine: Column | None, spelling: Spelling, length: int, period: float) -> int:
    codes = np.zeros(len(spelling.time), np.int64) if machine is None else machine.codes()[0]
    order = np.lexsort((spelling.time, codes))
    steps = np.diff(spelling.time[order])[np.diff(codes[order]) == 0]
    if not (steps > 0).any():
        return length
    return int(np.clip(round(float(np.median(steps[steps > 0])) / NS / period), 1, length))
