"""Some rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stream_ad.errors import InputError
from stream_ad.inspection.pieces import BLOCK_ROWS, BLOCKS
from stream_ad.inspection.sample import Sample
from stream_ad.transport.lines import reading
from stream_ad.transport.tables import plain

_CELLS = 1 << 22


def sample_parquet(path: Path, rows: int) -> Sample:
    """Read the head of a Parquet file and the beginnings of some later row groups.

    Parameters
    ----------
    path : Path
    rows : int
        Rows of the head, at most; fewer of a table with very many columns.

    Raises
    ------
    InputError
        For a file that is no Parquet file, or has no row.
    """
    with reading(path), pq.ParquetFile(path) as file:
        total, names = file.metadata.num_rows, file.schema_arrow.names
        if not total:
            raise InputError(f"{path}: the file has columns but no row")
        rows = min(rows, max(500, _CELLS // max(len(names), 1)))
        tables = list(_tables(file, rows))
    joined = pa.concat_tables(tables)
    sizes = [table.num_rows for table in tables]
    return Sample(
        kind="parquet",
        columns={
            name: plain(joined.column(place).combine_chunks())
            for place, name in enumerate(names)
            if names.count(name) == 1
        },
        block=np.repeat(np.arange(len(tables)), sizes),
        rows=total,
        complete=sum(sizes) == total,
    )


def _tables(file: pq.ParquetFile, rows: int) -> Iterator[pa.Table]:
    """Yield the head and the beginnings of up to four row groups that lie behind it."""
    sizes = [file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)]
    starts = np.cumsum([0, *sizes])[:-1]
    filled = [g for g, size in enumerate(sizes) if size]
    yield _beginning(file, filled, rows)
    later = [g for g in filled if starts[g] >= rows]
    chosen = {later[(len(later) - 1) * (n + 1) // BLOCKS] for n in range(BLOCKS) if later}
    for group in sorted(chosen):
        yield _beginning(file, [group], min(rows, BLOCK_ROWS))


def _beginning(file: pq.ParquetFile, groups: list[int], rows: int) -> pa.Table:
    batches, left = [], rows
    for batch in file.iter_batches(rows, groups):
        batches.append(batch.slice(0, left))
        left -= len(batches[-1])
        if not left:
            break
    return pa.Table.from_batches(batches)
