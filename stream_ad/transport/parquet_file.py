"""Parquet files, streamed in record batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stream_ad.errors import InputError
from stream_ad.transport.csv_file import Block
from stream_ad.transport.layout import Layout
from stream_ad.transport.lines import reading
from stream_ad.transport.tables import plain

ROWS = 65_536
_READ_AHEAD = 1 << 20


class ParquetTable:
    """A Parquet file as chunks of the columns that a layout names.

    Parameters
    ----------
    path : Path
    layout : Layout
    rows : int
        Rows per chunk, at most.

    Raises
    ------
    InputError
        For a file that is no Parquet file, or without rows or one of the columns, or
        where a column is of a kind that cannot be read (such as a list).
    """

    def __init__(self, path: Path, layout: Layout, rows: int = ROWS) -> None:
        self._path, self._layout, self._rows = path, layout, rows
        with reading(path), self._open() as file:
            schema, length = file.schema_arrow, file.metadata.num_rows
        layout.check(path, schema.names)
        for name, role in layout.roles.items():
            _check_kind(path, schema.field(name), role == "time")
        if not length:
            raise InputError(f"{path}: the file has columns but no row")

    def blocks(self, position: int = 0) -> Iterator[Block]:
        """Yield columns, row numbers, dead rows (none) and the row after, from a row on."""
        before = 0
        with reading(self._path), self._open() as file:
            groups, before = _groups_from(file, position)
            for chunk in file.iter_batches(
                self._rows, groups, [*self._layout.roles], use_threads=True
            ):
                after = before + chunk.num_rows
                first = max(position - before, 0)
                if first < chunk.num_rows:
                    left = chunk.slice(first)
                    columns = dict(zip(left.schema.names, left.columns, strict=True))
                    yield columns, np.arange(before + first, after), [], after
                before = after

    def _open(self) -> pq.ParquetFile:
        return pq.ParquetFile(self._path, buffer_size=_READ_AHEAD, pre_buffer=False)


def _groups_from(file: pq.ParquetFile, position: int) -> tuple[list[int], int]:
    """Return the row groups from the one on that holds the position, and its first row."""
    before, groups = 0, list(range(file.metadata.num_row_groups))
    while groups:
        rows = file.metadata.row_group(groups[0]).num_rows
        if position < before + rows:
            break
        before += rows
        groups.pop(0)
    return groups, before


def _check_kind(path: Path, field: pa.Field, time: bool) -> None:
    kind = plain(pa.array([], field.type)).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    times = (pa.types.is_timestamp, pa.types.is_date) if time else (pa.types.is_boolean,)
    if not any(test(kind) for test in (*numbers, *times, pa.types.is_string)):
        wanted = "text, a number or a timestamp" if time else "text or a number"
        raise InputError(f"{path}: column {field.name!r} is {field.type}: allowed is {wanted}")
