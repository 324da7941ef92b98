"""Look at a bounded sample of a recording and choose a config for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import parse_config
from stream_ad.errors import InputError
from stream_ad.inspection.choose import choose_windows
from stream_ad.inspection.csv_sample import sample_csv
from stream_ad.inspection.describe import describe_input, describe_limits
from stream_ad.inspection.grid import Rows, far_ahead, find_period
from stream_ad.inspection.json_sample import sample_json
from stream_ad.inspection.names import listed
from stream_ad.inspection.parquet_sample import sample_parquet
from stream_ad.inspection.result import Inspection
from stream_ad.inspection.roles import Asked, Roles, find_roles
from stream_ad.inspection.sample import HEAD_ROWS, Sample
from stream_ad.inspection.shape import Sensors, long_sensors, reading_sensors
from stream_ad.inspection.window_records import are_windows, inspect_windows
from stream_ad.transport.files import kind_of
from stream_ad.transport.times import NAT
from stream_ad.windows.spec import rfc3339

_SAMPLERS: dict[str, Callable[[Path, int], Sample]] = {
    "csv": sample_csv,
    "json": sample_json,
    "parquet": sample_parquet,
}


def inspect(
    path: Path,
    *,
    time_column: str | None = None,
    machine_column: str | None = None,
    label_column: str | None = None,
    time_zone: str | None = None,
) -> Inspection:
    r"""Choose a config for a recorded file.

    Only the head of the file and some blocks up to its end are read, so the size of the file
    does not matter; what stands nowhere in them, such as a sensor of the long shape that
    reports once a day, is not found. Of a compressed file only the head is read.

    Parameters
    ----------
    path : Path
        CSV, JSONL or Parquet.
    time_column, machine_column, label_column : str, optional
        Columns, or dotted paths in JSON, where the guess would be wrong.
    time_zone : str, optional
        IANA name of the zone of times that name none.

    Returns
    -------
    Inspection

    Raises
    ------
    InputError
        For a file that cannot be read, is empty, or has no times or no numbers.
    ConfigError
        For a time zone that does not exist.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> rows = [f"2024-01-01T00:{m:02}:00Z,{m % 7}" for m in range(60)]
    >>> _ = (folder / "a.csv").write_text("\n".join(["time,temp", *rows]))
    >>> windows = inspect(folder / "a.csv").config().windows
    >>> windows.period_s, [sensor.name for sensor in windows.sensors]
    (60.0, ['temp'])
    """
    parse_config({"input": {"time_zone": time_zone}})
    asked = Asked(time_column, machine_column, label_column, time_zone)
    if time_column is not None and time_column == machine_column:
        raise InputError(f"{path}: --time-column and --machine-column both name {time_column!r}")
    read = _SAMPLERS[kind_of(path)]
    sample = read(path, HEAD_ROWS)
    if are_windows(sample):
        return inspect_windows(path, sample, asked)
    roles = find_roles(path, sample, asked)
    if not sample.complete and find_period(_rows(roles, sample)[0]) is None:
        # so many machines that none of them appears twice
        sample = read(path, 10 * HEAD_ROWS)
        roles = find_roles(path, sample, asked)
    return _inspect(path, sample, roles, asked)


def _inspect(path: Path, sample: Sample, roles: Roles, asked: Asked) -> Inspection:
    rows, used = _rows(roles, sample)
    rows, used, far = _without_far(rows, used)
    if roles.long is None:
        group = sample.block * (len(used) + 1) + roles.machine_codes()
        sensors = reading_sensors(sample, roles.rest, group)
        sensors.values = {name: column[used] for name, column in sensors.values.items()}
    else:
        sensors = long_sensors(*roles.long)
    if not sensors.names:
        reasons = (
            "; ".join([*sample.notes, *sensors.notes])
            or f"the file has {listed(sample.columns, 20)}"
        )
        raise InputError(f"{path}: no column of numbers to watch ({reasons})")
    windows = choose_windows(path, sample, roles, rows, sensors)
    settings = describe_input(sample, roles, sensors, asked.time_zone)
    limits = describe_limits(sample, sensors)
    return Inspection(
        path=path,
        summary=_summary(sample, rows, sensors),
        input=settings.value,
        windows=windows.value,
        limits=limits.value,
        why=settings.why | windows.why | limits.why,
        label_columns=roles.labels,
        notes=[
            *sample.notes,
            *roles.notes,
            *far,
            *_label_notes(roles.labels),
            *settings.notes,
            *sensors.notes,
            *windows.notes,
        ],
    )


def _label_notes(labels: list[str]) -> list[str]:
    if not labels:
        return []
    return [f"taken for labels by their names, not watched as sensors: {listed(labels)}"]


def _rows(roles: Roles, sample: Sample) -> tuple[Rows, NDArray[np.bool_]]:
    """Return the rows that a replay would use, and which they are."""
    machine = roles.machine_codes()
    used = (roles.spelling.time != NAT) & (machine >= 0)
    sensor = None
    if roles.long is not None:
        tag, value = roles.long
        codes = tag.codes()[0]
        used &= (codes >= 0) & np.isfinite(value.numbers)
        sensor = codes[used]
    return Rows(roles.spelling.time[used], machine[used], sample.block[used], sensor), used


def _without_far(rows: Rows, used: NDArray[np.bool_]) -> tuple[Rows, NDArray[np.bool_], list[str]]:
    """Leave out rows from another century, and say so."""
    period = find_period(rows)
    ahead = np.zeros(len(rows.time), bool) if period is None else far_ahead(rows, period.seconds)
    if not ahead.any():
        return rows, used, []
    first, count = rfc3339(int(rows.time[ahead].min())), int(ahead.sum())
    which = "1 row lies" if count == 1 else f"{count:,} rows lie"
    used = used.copy()
    used[np.flatnonzero(used)[ahead]] = False
    kept = ~ahead
    rows = Rows(
        rows.time[kept],
        rows.machine[kept],
        rows.block[kept],
        None if rows.sensor is None else rows.sensor[kept],
    )
    return rows, used, [f"{which} far ahead of all others, such as {first}: counted, not used"]


def _summary(sample: Sample, rows: Rows, sensors: Sensors) -> str:
    about = "" if sample.complete else "about "
    machines = len(np.unique(rows.machine))
    ids = "one machine" if machines == 1 else f"{machines:,} machines"
    names = "1 sensor" if len(sensors.names) == 1 else f"{len(sensors.names):,} sensors"
    span = f"{rfc3339(int(rows.time.min()))} to {rfc3339(int(rows.time.max()))}"
    return f"{about}{sample.rows:,} rows of {ids}, {names}, {span}"
