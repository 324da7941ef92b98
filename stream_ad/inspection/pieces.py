"""A few pieces of a text file: its head and some blocks of whole lines after it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from stream_ad.errors import InputError
from stream_ad.transport.lines import is_packed, reading, without_mark

BLOCKS = 4
BLOCK_ROWS = 2_000
BLOCK_BYTES = 1 << 20
HEAD_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Pieces:
    """What was read of a file.

    Parameters
    ----------
    blocks : list of bytes
        Whole lines; the first block is the head of the file.
    lines : float
        Lines of the whole file, estimated unless ``complete``.
    complete : bool
        Whether the head is the whole file.
    """

    blocks: list[bytes]
    lines: float
    complete: bool


def read_pieces(path: Path, rows: int) -> Pieces:
    """Read the head of a file and, of a larger plain one, blocks up to its end.

    Parameters
    ----------
    path : Path
        Plain, or compressed where the name ends in ``.gz``: then only the head is read,
        since what comes later cannot be reached without all that lies before it.
    rows : int
        Lines of the head, at most; also at most 16 MiB.

    Raises
    ------
    InputError
        For a file that cannot be read, is damaged, or is UTF-16.
    """
    with reading(path), path.open("rb") as stream:
        read = _packed if is_packed(path) else _plain
        pieces = read(stream, path.stat().st_size, rows)
    pieces.blocks[0] = without_mark(path, pieces.blocks[0])
    if not pieces.blocks[0].strip():
        raise InputError(f"{path}: the file is empty")
    return pieces


def _packed(stream: BinaryIO, size: int, rows: int) -> Pieces:
    with gzip.open(stream) as text:
        head, complete = _head(cast(BinaryIO, text), rows)
    share = stream.tell() / size
    return Pieces([head], _lines([head]) / max(share, 1e-9), complete)


def _plain(stream: BinaryIO, size: int, rows: int) -> Pieces:
    head, complete = _head(stream, rows)
    blocks = [head]
    if complete:
        return Pieces(blocks, float(_lines(blocks)), complete)
    end = len(head)
    for number in range(1, BLOCKS + 1):
        # the last block ends with the file
        place = max(end, (size - BLOCK_BYTES) * number // BLOCKS)
        stream.seek(max(place - 1, 0))
        stream.readline(BLOCK_BYTES)
        start = stream.tell()
        read = stream.read(BLOCK_BYTES)
        block = _cut(read, BLOCK_ROWS, whole=False) if number < BLOCKS else _tail(read, BLOCK_ROWS)
        if block:
            blocks.append(block)
        end = start + len(block)
    mean = sum(map(len, blocks)) / max(_lines(blocks), 1)
    return Pieces(blocks, size / mean, complete)


def _head(stream: BinaryIO, rows: int) -> tuple[bytes, bool]:
    data = stream.read(HEAD_BYTES + 1)
    if b"\n" not in data and b"\r" in data:  # lines that end in CR alone
        data = data.replace(b"\r", b"\n")
    head = _cut(data, rows, whole=len(data) <= HEAD_BYTES)
    return head, head == data


def _cut(data: bytes, rows: int, *, whole: bool) -> bytes:
    """Return at most so many lines; without ``whole`` the last newline is the end."""
    end = -1
    for _ in range(rows):
        after = data.find(b"\n", end + 1)
        if after < 0:
            return data if whole else data[: end + 1]
        end = after
    return data[: end + 1]


def _tail(data: bytes, rows: int) -> bytes:
    """Return the last lines, at most so many."""
    start = len(data) - data.endswith(b"\n")
    for _ in range(rows):
        start = data.rfind(b"\n", 0, start)
        if start < 0:
            return data
    return data[start + 1 :]


def _lines(blocks: list[bytes]) -> int:
    return sum(block.count(b"\n") + (not block.endswith(b"\n")) for block in blocks)
