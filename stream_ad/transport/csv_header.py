"""The header of a CSV file: its first line that is not blank."""

from __future__ import annotations

import csv
from pathlib import Path

from stream_ad.config import CsvConfig, LimitsConfig
from stream_ad.errors import InputError
from stream_ad.transport.lines import LongLine, read_blocks


def header(path: Path, dialect: CsvConfig, limits: LimitsConfig) -> list[str]:
    """Return the column names of a CSV file, without the spaces around them.

    Raises
    ------
    InputError
        For a file that is empty, cannot be read, or whose first line is no header.
    """
    for block in read_blocks(path, limits.record_bytes, quotes=True):
        if isinstance(block, LongLine):
            raise InputError(f"{path}: the header is longer than limits.record_bytes")
        line, _ = split_header(block)
        if not line:
            continue
        try:
            cells = next(csv.reader([line.decode()], delimiter=dialect.delimiter))
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}: no header of CSV in UTF-8 ({error})") from error
        return [cell.strip() for cell in cells]
    raise InputError(f"{path}: the file is empty")


def split_header(block: bytes) -> tuple[bytes, bytes]:
    """Return the first line that is not blank, and what follows it."""
    block = block.lstrip(b"\r\n")
    ends = [end for end in (block.find(b"\n"), block.find(b"\r")) if end >= 0]
    end = min(ends, default=len(block))
    return block[:end], block[end:]
