"""JSON lines: one record per line, in batches of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stream_ad.errors import InputError
from stream_ad.transport.base import Batch
from stream_ad.transport.decode import Decoder
from stream_ad.transport.lines import LongLine, read_blocks


class JsonLines:
    """A file of JSON records; blank lines are no records.

    Parameters
    ----------
    path : Path
    decoder : Decoder
    record_bytes : int
        A longer line is a dead letter and is never held in memory.

    Raises
    ------
    InputError
        For a file that cannot be read or holds nothing but blank lines.
    """

    def __init__(self, path: Path, decoder: Decoder, record_bytes: int) -> None:
        self._path, self._decoder, self._longest = path, decoder, record_bytes
        if next(record_blocks(path, record_bytes), None) is None:
            raise InputError(f"{path}: the file has no record")

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the records from a line on."""
        after = 0
        for block in record_blocks(self._path, self._longest):
            before = after
            if isinstance(block, LongLine):
                after += 1
                letters = [block.dead(before, self._longest)]
                batch = self._decoder.decode([], after)
                batch = Batch(batch.records, letters, after)
            else:
                after += len(block)
                rows = enumerate(block[max(0, position - before) :], max(position, before))
                batch = self._decoder.decode(rows, after)
            if after > position:
                yield batch


def record_blocks(path: Path, record_bytes: int) -> Iterator[list[bytes] | LongLine]:
    """Yield the lines that are not blank, some at a time."""
    for block in read_blocks(path, record_bytes, quotes=False):
        if isinstance(block, LongLine):
            yield block
        elif lines := [line for line in block.split(b"\n") if line and not line.isspace()]:
            yield lines
