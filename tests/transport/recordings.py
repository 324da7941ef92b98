"""Recordings for tests: the same readings in every shape that a file may have."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stream_ad.config import Config, parse_config
from stream_ad.transport.base import Batch, DeadLetter
from stream_ad.transport.files import open_source
from stream_ad.windows.batches import Readings
from stream_ad.windows.spec import WindowSpec

SENSORS = ("a", "b", "c")


def config_of(sensors: Sequence[str] = SENSORS, /, **settings: Any) -> Config:
    """Return a config of some sensors; keyword arguments are its input section."""
    limits = settings.pop("limits", {})
    windows = {"sensors": list(sensors), "period_s": 1, **settings.pop("windows", {})}
    return parse_config({"input": settings, "windows": windows, "limits": limits})


def spec_of(config: Config) -> WindowSpec:
    return WindowSpec.from_config(config.windows)


def read(path: Path, config: Config, position: int = 0) -> Batch:
    """Read a file to its end, as one batch."""
    return together(open_source(path, config, spec_of(config)).batches(position))


def together(batches: Iterable[Batch]) -> Batch:
    parts = list(batches)
    counts: Counter[str] = Counter()
    dead: list[DeadLetter] = []
    for part in parts:
        counts.update(part.counts)
        dead += part.dead
    records: Any = parts[0].records
    records = type(records).concat([part.records for part in parts])
    return Batch(records, dead, parts[-1].position, counts)


def readings(batch: Batch) -> Readings:
    assert isinstance(batch.records, Readings)
    return batch.records


def assert_same(left: Batch, right: Batch) -> None:
    """Assert that two batches hold the same records to the bit, and the same counts."""
    one, other = readings(left), readings(right)
    assert one.machine.tolist() == other.machine.tolist()
    assert one.time.tolist() == other.time.tolist()
    assert one.offset.tolist() == other.offset.tolist()
    assert one.values.dtype == other.values.dtype == np.float32
    assert one.values.tobytes() == other.values.tobytes()
    assert [letter.offset for letter in left.dead] == [letter.offset for letter in right.dead]
    assert left.position == right.position
    assert dict(left.counts) == dict(right.counts)


Row = tuple[str, Any, Sequence[Any]]  # machine, time, one cell per sensor


def write_csv(path: Path, rows: Iterable[Row], sensors: Sequence[str] = SENSORS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["machine_id", "time", *sensors])
        writer.writerows([machine, time, *cells] for machine, time, cells in rows)
    return path


def write_jsonl(path: Path, rows: Iterable[Row], sensors: Sequence[str] = SENSORS) -> Path:
    path.write_bytes(b"".join(json_record(row, sensors) + b"\n" for row in rows))
    return path


def json_record(row: Row, sensors: Sequence[str] = SENSORS) -> bytes:
    machine, time, cells = row
    values = dict(zip(sensors, cells, strict=True))
    return orjson.dumps({"machine_id": machine, "time": time, "values": values})


def write_parquet(path: Path, rows: Sequence[Row], sensors: Sequence[str] = SENSORS) -> Path:
    columns: dict[str, Any] = {
        "machine_id": [row[0] for row in rows],
        "time": [row[1] for row in rows],
    }
    columns |= {name: [row[2][place] for row in rows] for place, name in enumerate(sensors)}
    pq.write_table(pa.table(columns), path, row_group_size=7)
    return path
