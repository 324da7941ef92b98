"""Streams into Parquet: the only file here that needs pyarrow, and so imported when asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simulators.dialect import Dialect
from simulators.records import local_time
from simulators.stream import Chunk


def write_parquet(chunks: Iterable[Chunk], path: Path, dialect: Dialect) -> int:
    """Write Parquet, one row group per chunk, and return the number of readings.

    Raises
    ------
    ValueError
        For `window` records.
    """
    dialect.refuse_windows("parquet")
    count = 0
    writer: pq.ParquetWriter | None = None
    try:
        for chunk in chunks:
            table = _table(chunk, dialect)
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
            count += len(chunk)
    finally:
        if writer is not None:
            writer.close()
    return count


def _table(chunk: Chunk, dialect: Dialect) -> pa.Table:
    time = pa.array(local_time(chunk.time, dialect.zone))
    if dialect.zone is None:
        time = time.cast(pa.timestamp("ns", tz="UTC"))
    machine, label = pa.array(chunk.machine_id.tolist()), chunk.label
    columns: dict[str, Any] = {"time": time, "machine_id": machine}
    if dialect.record == "long":
        row, sensor = np.nonzero(~np.isnan(chunk.values))
        columns = {name: column.take(pa.array(row)) for name, column in columns.items()}
        columns["sensor"] = pa.array(np.array(chunk.layout.sensor_names)[sensor].tolist())
        columns["value"] = chunk.values[row, sensor]
        label = label[row]
    else:
        for name, values in zip(chunk.layout.sensor_names, chunk.values.T, strict=True):
            columns[name] = pa.array(values, from_pandas=True)
    if dialect.label is not None:
        columns[dialect.label] = label
    return pa.table(columns)
