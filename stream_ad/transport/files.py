"""Recorded files as a source: CSV, JSON lines and Parquet, streamed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from stream_ad.config import Config
from stream_ad.errors import InputError
from stream_ad.transport.ahead import one_ahead
from stream_ad.transport.base import Batch
from stream_ad.transport.counting import count_rows
from stream_ad.transport.csv_file import Block, CsvTable
from stream_ad.transport.decode import Decoder
from stream_ad.transport.fields import refuse_envelope
from stream_ad.transport.json_lines import JsonLines
from stream_ad.transport.layout import Layout
from stream_ad.transport.lines import reading
from stream_ad.transport.parquet_file import ROWS, ParquetTable
from stream_ad.transport.tables import TableDecoder
from stream_ad.windows.spec import WindowSpec

KINDS = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".jsonl.gz": "json",
    ".ndjson.gz": "json",
    ".parquet": "parquet",
}
_MIB, _SAMPLES = 1 << 20, 16
_CELLS = 1 << 22  # per batch, so that a thousand sensors cost no more memory than eight


class _Reader(Protocol):
    def batches(self, position: int = 0) -> Iterator[Batch]: ...


class FileSource:
    """A recorded file; positions count its records: data rows, or lines that are not blank.

    Parameters
    ----------
    path : Path
        The file.
    reader : object with ``batches(position)``
        What reads this kind of file.
    """

    def __init__(self, path: Path, reader: _Reader) -> None:
        self.path, self.title = path, path.name
        self._reader = reader
        self._rows: int | None = None

    def identity(self) -> str:
        """Return size and a SHA-256 of samples, ends included: a file known again anywhere.

        A file of up to 16 MiB is read whole; of a larger one, sixteen MiB in even steps.
        """
        digest = hashlib.sha256()
        with reading(self.path), self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            for sample in range(_SAMPLES):
                file.seek(max(0, size - _MIB) * sample // (_SAMPLES - 1))
                digest.update(file.read(_MIB))
        return f"{size}-{digest.hexdigest()}"

    def rows(self) -> int:
        """Return about how many records the file holds, counted once; see `count_rows`."""
        if self._rows is None:
            self._rows = count_rows(self.path, kind_of(self.path))
        return self._rows

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the records from a position on, in batches of bounded size."""
        return self._reader.batches(position)


def open_source(path: Path, config: Config, spec: WindowSpec) -> FileSource:
    """Open a recorded file and check that it has what the config asks for.

    Parameters
    ----------
    path : Path
        ``.csv``, ``.jsonl``, ``.ndjson`` (each also ``.gz``) or ``.parquet``.
    config : Config
        ``input`` and ``limits`` are used.
    spec : WindowSpec
        The sensors; for windows made by others also length and period.

    Returns
    -------
    FileSource

    Raises
    ------
    InputError
        For a file that is absent, empty, of another kind, or lacks a column.
    ConfigError
        For a time format that cannot be used, or a field in a key or header.
    """
    refuse_envelope(config.input)
    if kind_of(path) == "json":
        decoder = Decoder(config.input, config.limits, spec)
        return FileSource(path, JsonLines(path, decoder, config.limits.record_bytes))
    tables = TableDecoder(config.input, spec)
    rows = max(1024, min(ROWS, _CELLS // len(spec.names)))
    return FileSource(path, _TableReader(open_table(path, tables.layout, config, rows), tables))


def open_table(
    path: Path, layout: Layout, config: Config, rows: int = ROWS
) -> CsvTable | ParquetTable:
    """Open a CSV or Parquet file as chunks of the columns of a layout."""
    if kind_of(path) == "csv":
        return CsvTable(path, layout, config.input.csv, config.limits)
    return ParquetTable(path, layout, rows)


def kind_of(path: Path) -> str:
    """Return ``csv``, ``json`` or ``parquet``.

    Raises
    ------
    InputError
        For a path that is no file, is empty, or ends in something else.

    Examples
    --------
    >>> kind_of(Path("a.xlsx"))
    Traceback (most recent call last):
    ...
    stream_ad.errors.InputError: a.xlsx: allowed is a file that ends in .csv, .csv.gz, .tsv, \
.jsonl, .ndjson, .jsonl.gz, .ndjson.gz, .parquet
    """
    name = path.name.lower()
    kind = next((kind for suffix, kind in KINDS.items() if name.endswith(suffix)), None)
    if kind is None:
        raise InputError(f"{path}: allowed is a file that ends in {', '.join(KINDS)}")
    with reading(path):
        empty = not path.stat().st_size
    if not path.is_file():
        raise InputError(f"{path}: is no file")
    if empty:
        raise InputError(f"{path}: the file is empty")
    return kind


class _TableReader:
    def __init__(self, table: CsvTable | ParquetTable, decoder: TableDecoder) -> None:
        self._table, self._decoder = table, decoder

    def batches(self, position: int = 0) -> Iterator[Batch]:
        return one_ahead(self._decoded(position))

    def _decoded(self, position: int) -> Iterator[Batch]:
        block: Block
        for block in self._table.blocks(position):
            yield self._decoder.batch(*block)
