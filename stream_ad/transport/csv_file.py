"""CSV files, block by block: typed columns at once, text only where a block needs it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
from numpy.typing import NDArray

from stream_ad.config import CsvConfig, LimitsConfig
from stream_ad.errors import InputError
from stream_ad.transport.base import DeadLetter
from stream_ad.transport.cells import MISSING
from stream_ad.transport.csv_header import header, split_header
from stream_ad.transport.layout import Layout, Role
from stream_ad.transport.lines import LongLine, read_blocks

_CODED = pa.dictionary(pa.int32(), pa.string())
_FAST: dict[Role, pa.DataType] = {
    "name": _CODED,
    "time": pa.string(),
    "number": pa.float64(),
    "text": pa.string(),
}
Rows = tuple[dict[str, pa.Array], NDArray[np.int64], list[DeadLetter]]
Block = tuple[dict[str, pa.Array], NDArray[np.int64], list[DeadLetter], int]


class CsvTable:
    """A CSV file as chunks of the columns that a layout names.

    The header is the first line that is not blank. A row with more or fewer cells than the
    header is a dead letter, and so is a line with a quote that never closes.

    Parameters
    ----------
    path : Path
    layout : Layout
    dialect : CsvConfig
    limits : LimitsConfig

    Raises
    ------
    InputError
        For a file without header, rows or one of the columns.
    """

    def __init__(
        self, path: Path, layout: Layout, dialect: CsvConfig, limits: LimitsConfig
    ) -> None:
        self._path, self._layout, self._dialect = path, layout, dialect
        self._longest = limits.record_bytes
        self._header = header(path, dialect, limits)
        layout.check(path, self._header)
        # Arrow finds columns by name; columns that are not read may share one
        self._names = [
            name if name in layout.roles else f"\0{n}" for n, name in enumerate(self._header)
        ]
        if next(self._data_blocks(), None) is None:
            raise InputError(f"{path}: there is a header but no row")

    def blocks(self, position: int = 0) -> Iterator[Block]:
        """Yield columns, row numbers, dead rows and the row after, from a row on."""
        after = 0
        for block in self._data_blocks():
            before = after
            if isinstance(block, LongLine):
                after += 1
                if before >= position:
                    empty = {name: pa.array([], pa.string()) for name in self._layout.roles}
                    letter = block.dead(before, self._longest)
                    yield empty, np.empty(0, np.int64), [letter], after
                continue
            if position > before:
                after = before + self._count(block)
                if after <= position:
                    continue
            columns, rows, dead = self._read(block)
            after = before + len(rows) + len(dead)
            yield _from(position, columns, rows + before, _moved(dead, before), after)

    def _data_blocks(self) -> Iterator[bytes | LongLine]:
        blocks = read_blocks(self._path, self._longest, quotes=True)
        for block in blocks:
            line, body = (b"", b"") if isinstance(block, LongLine) else split_header(block)
            if not line:
                continue
            if body.strip(b"\r\n"):
                yield body
            break
        for block in blocks:
            if isinstance(block, LongLine) or block.strip(b"\r\n"):
                yield block

    def _read(self, block: bytes) -> Rows:
        try:
            table = self._parse(block, dict(_FAST))
        except pa.ArrowInvalid:
            return self._read_text(block)
        return _columns(table), np.arange(table.num_rows), []

    def _read_text(self, block: bytes) -> Rows:
        text = block.decode("utf-8", "replace")
        bad: list[pc.InvalidRow] = []
        table = self._parse(text.encode(), dict.fromkeys(_FAST, pa.string()), bad)
        if any("\n" in row.text or "\r" in row.text for row in bad):
            return self._read_lines(text)
        dead = [self._ragged(row.number - 1, row.text, row.actual_columns) for row in bad]
        rows = np.arange(table.num_rows + len(bad))
        return _columns(table), np.delete(rows, [letter.offset for letter in dead]), dead

    def _read_lines(self, text: str) -> Rows:
        """Read line by line: a quote that never closes must cost its own line only."""
        good: list[list[str]] = []
        rows, dead = [], []
        lines = (line for line in text.replace("\r", "\n").split("\n") if line)
        for row, line in enumerate(lines):
            try:
                cells = next(csv.reader([line], delimiter=self._dialect.delimiter))
            except csv.Error:
                cells = []
            if len(cells) == len(self._header):
                good.append(cells)
                rows.append(row)
            else:
                dead.append(self._ragged(row, line, len(cells)))
        places = {name: self._header.index(name) for name in self._layout.roles}
        columns = {
            name: pa.array([cells[place] for cells in good], pa.string())
            for name, place in places.items()
        }
        return columns, np.array(rows, np.int64), dead

    def _count(self, block: bytes) -> int:
        bad: list[pc.InvalidRow] = []
        text = block.decode("utf-8", "replace").encode()
        table = self._parse(text, dict.fromkeys(_FAST, pa.string()), bad)
        if any("\n" in row.text or "\r" in row.text for row in bad):
            return sum(map(bool, text.replace(b"\r", b"\n").split(b"\n")))
        return int(table.num_rows) + len(bad)

    def _parse(
        self,
        block: bytes,
        types: dict[Role, pa.DataType],
        bad: list[pc.InvalidRow] | None = None,
    ) -> pa.Table:
        """Parse a block; without ``bad`` any trouble raises, with it rows are set aside."""

        def set_aside(row: pc.InvalidRow) -> str:
            assert bad is not None
            bad.append(row)
            return "skip"

        return pc.read_csv(
            pa.BufferReader(block),
            read_options=pc.ReadOptions(
                column_names=self._names, use_threads=bad is None, block_size=len(block) + 1
            ),
            parse_options=pc.ParseOptions(
                delimiter=self._dialect.delimiter,
                invalid_row_handler=None if bad is None else set_aside,
            ),
            convert_options=pc.ConvertOptions(
                include_columns=list(self._layout.roles),
                column_types={name: types[role] for name, role in self._layout.roles.items()},
                null_values=sorted(MISSING),
                strings_can_be_null=False,
                decimal_point=self._dialect.decimal,
            ),
        )

    def _ragged(self, row: int, text: str, cells: int) -> DeadLetter:
        message = f"a row of {cells} cells: allowed is {len(self._header)}, as in the header"
        return DeadLetter.of(row, text.encode(), "InvalidRow", message)


def _columns(table: pa.Table) -> dict[str, pa.Array]:
    chunks = {name: table.column(name) for name in table.column_names}
    return {
        name: column.chunk(0) if column.num_chunks == 1 else _joined(column)
        for name, column in chunks.items()
    }


def _joined(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


def _moved(dead: list[DeadLetter], by: int) -> list[DeadLetter]:
    return [replace(letter, offset=letter.offset + by) for letter in dead]


def _from(
    position: int,
    columns: dict[str, pa.Array],
    rows: NDArray[np.int64],
    dead: list[DeadLetter],
    after: int,
) -> Block:
    """Drop what lies before the position: a resumed run begins within a block."""
    first = int(np.searchsorted(rows, position))
    left = {name: column[first:] for name, column in columns.items()}
    return left, rows[first:], [d for d in dead if d.offset >= position], after
