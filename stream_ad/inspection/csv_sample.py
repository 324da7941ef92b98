"""Some rows of a CSV file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from stream_ad.config import CsvConfig
from stream_ad.errors import InputError
from stream_ad.inspection.dialect import cells, find_decimal, find_delimiter
from stream_ad.inspection.names import listed
from stream_ad.inspection.pieces import read_pieces
from stream_ad.inspection.sample import Sample

_GLANCE_BYTES = 200_000


def sample_csv(path: Path, rows: int) -> Sample:
    """Read the head of a CSV file and some blocks after it, all cells as text.

    Parameters
    ----------
    path : Path
    rows : int
        Rows of the head, at most.

    Raises
    ------
    InputError
        For a file without header or rows, in another encoding, or whose rows do not fit
        its header.
    """
    pieces = read_pieces(path, rows + 1)
    line, body = _split_header(path, pieces.blocks[0])
    notes: list[str] = []
    texts = [_text(block, notes) for block in (body, *pieces.blocks[1:])]
    # the cut may lie within a character
    glance = texts[0][:_GLANCE_BYTES].decode(errors="replace")
    first = [row for row in glance.splitlines() if row.strip()]
    delimiter = find_delimiter(path, [line, *first])
    header = cells(line, delimiter)
    tables = [_parse(text, len(header), delimiter) for text in texts if text.strip()]
    count = sum(table.num_rows for table in tables)
    if not count:
        raise InputError(f"{path}: {_reason(first, header, delimiter)}")
    columns = _named(header, pa.concat_tables(tables), notes)
    decimal = find_decimal(columns.values())
    if decimal == delimiter:
        decimal = "."
        notes.append("numbers with a decimal comma cannot be read between commas: separate by ;")
    block = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
    return Sample(
        kind="csv",
        columns=columns,
        block=block,
        rows=count if pieces.complete else round(pieces.lines),
        complete=pieces.complete,
        dialect=CsvConfig(delimiter=delimiter, decimal=decimal),
        notes=notes,
    )


def _split_header(path: Path, head: bytes) -> tuple[str, bytes]:
    if b"\0" in head[:10_000]:
        raise InputError(f"{path}: holds binary data; of a spreadsheet, save it as CSV in UTF-8")
    line, _, body = head.lstrip(b"\r\n").partition(b"\n")
    try:
        return line.decode().rstrip("\r"), body
    except UnicodeDecodeError as error:
        read = line.decode("latin-1").strip()
        raise InputError(
            f"{path}: the header is not UTF-8; as Latin-1 it reads {read[:80]!r}. If that is"
            " right, convert the file: iconv -f LATIN1 -t UTF-8 OLD > NEW"
        ) from error


def _text(block: bytes, notes: list[str]) -> bytes:
    try:
        block.decode()
    except UnicodeDecodeError:
        note = (
            "some text is not UTF-8; rows where that is the name of a machine or a sensor"
            " cannot be used. If it is Latin-1: iconv -f LATIN1 -t UTF-8 OLD > NEW"
        )
        if note not in notes:
            notes.append(note)
        return block.decode(errors="replace").encode()
    return block


def _parse(text: bytes, width: int, delimiter: str) -> pa.Table:
    names = [str(place) for place in range(width)]
    return pc.read_csv(
        pa.BufferReader(text),
        read_options=pc.ReadOptions(
            column_names=names, use_threads=False, block_size=len(text) + 1
        ),
        parse_options=pc.ParseOptions(delimiter=delimiter, invalid_row_handler=lambda _: "skip"),
        convert_options=pc.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _reason(rows: list[str], header: list[str], delimiter: str) -> str:
    names = listed(header, 20)
    if not rows:
        return f"there is a header ({names}) but no row"
    return (
        f"the header has {len(header)} columns ({names}), the first row"
        f" {len(cells(rows[0], delimiter))} cells; they must be as many"
    )


def _named(header: list[str], table: pa.Table, notes: list[str]) -> dict[str, pa.Array]:
    seen = Counter(header)
    twice = sorted(name for name, count in seen.items() if name and count > 1)
    if twice:
        notes.append(f"left out, since two columns have the same name: {listed(twice)}")
    return {
        name: table.column(place).combine_chunks()
        for place, name in enumerate(header)
        if seen[name] == 1
    }
