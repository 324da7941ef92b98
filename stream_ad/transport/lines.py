"""A byte stream as blocks of whole lines, in bounded memory."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from stream_ad.errors import InputError
from stream_ad.transport.base import DEAD_LETTER_BYTES, DeadLetter

BLOCK_BYTES = 1 << 23
_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line beyond the limit: its beginning, its length and its digest."""

    head: bytes
    length: int
    sha256: str

    def dead(self, offset: int, limit: int) -> DeadLetter:
        """Return it as a dead letter."""
        message = f"record of {self.length} bytes: allowed are limits.record_bytes = {limit}"
        return DeadLetter(offset, self.head, self.length, self.sha256, "RecordTooLarge", message)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Translate what goes wrong while a file is read.

    Raises
    ------
    InputError
        With path and reason.
    """
    try:
        yield
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason})") from error


def read_blocks(
    path: Path, longest: int, *, quotes: bool, size: int = BLOCK_BYTES
) -> Iterator[bytes | LongLine]:
    """Yield the file as blocks that end with a line, without a byte order mark.

    Parameters
    ----------
    path : Path
        Plain, or compressed where the name ends in ``.gz``.
    longest : int
        A line that fits no block and is longer than this comes as a ``LongLine``.
    quotes : bool
        Whether a newline may stand inside double quotes, as in CSV.
    size : int
        Bytes per read.

    Raises
    ------
    InputError
        For a file that cannot be read, is damaged, or is not UTF-8 but UTF-16.
    """
    with reading(path), open_bytes(path) as stream:
        yield from _blocks(stream, without_mark(path, stream.read(size)), longest, quotes, size)


def is_packed(path: Path) -> bool:
    """Return whether a file is compressed, by its name."""
    return path.suffix.lower() == ".gz"


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, plain or compressed."""
    return cast(BinaryIO, gzip.open(path)) if is_packed(path) else path.open("rb")


def without_mark(path: Path, head: bytes) -> bytes:
    """Return the beginning of a text without its byte order mark.

    Raises
    ------
    InputError
        For UTF-16.
    """
    if head.startswith(_WIDE_MARKS):
        raise InputError(f"{path}: the text is UTF-16; save it as UTF-8")
    return head.removeprefix(_MARK)


def _blocks(
    stream: BinaryIO, data: bytes, longest: int, quotes: bool, size: int
) -> Iterator[bytes | LongLine]:
    most = max(longest, size)
    while True:
        end = _end_of_lines(data, quotes, most)
        if end:
            yield data[:end]
            data = data[end:]
        elif len(data) > most:
            line, data = _swallow(stream, data, size)
            yield line
        more = stream.read(size)
        if not more:
            break
        data += more
    if data:
        yield data


def _end_of_lines(data: bytes, quotes: bool, most: int) -> int:
    end = data.rfind(b"\n") + 1
    if not end and quotes:
        return data.rfind(b"\r") + 1  # lines that end in CR alone
    # finding nothing is far quicker than counting, and most files have no quotes
    if not quotes or data.find(b'"', 0, end) < 0 or not data.count(b'"', 0, end) % 2:
        return end
    # a quoted field goes on beyond the last newline: cut before the line in which it begins
    cut, odd = end, True
    while cut and odd:
        before = data.rfind(b"\n", 0, cut - 1) + 1
        odd ^= bool(data.count(b'"', before, cut) % 2)
        cut = before
    # a quote that has not closed by now never will: take the lines as they are
    return cut or (end if len(data) > most else 0)


def _swallow(stream: BinaryIO, data: bytes, size: int) -> tuple[LongLine, bytes]:
    head, length, digest = b"", 0, hashlib.sha256()
    while data:
        line, newline, rest = data.partition(b"\n")
        head += line[: DEAD_LETTER_BYTES - len(head)]
        length += len(line)
        digest.update(line)
        if newline:
            return LongLine(head, length, digest.hexdigest()), rest
        data = stream.read(size)
    return LongLine(head, length, digest.hexdigest()), b""
