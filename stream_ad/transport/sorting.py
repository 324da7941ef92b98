"""Sorting finished outputs on disk: memory is bounded, a kill at any point is harmless."""

from __future__ import annotations

import csv
import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import count, islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from stream_ad.transport.durable import Folder, writing

Key = Callable[[bytes], Any]
Split = Callable[[BinaryIO], Iterator[bytes]]
RUN_BYTES = 16 << 20
_MOST_RUNS = 64  # open at once


def sort_file(
    folder: Folder,
    name: str,
    key: Key,
    *,
    records: Split = iter,
    head: int = 0,
    run_bytes: int = RUN_BYTES,
) -> None:
    """Sort the records of a file by a key, keeping the order of equal ones.

    The sorted file takes the place of the other in one step and has its length, so that a
    checkpoint stands for both.

    Parameters
    ----------
    folder : Folder
    name : str
        File of records that end with a newline.
    key : callable
        From a record's bytes.
    records : callable
        How the open file divides into records: lines, or `csv_records`.
    head : int
        Records at the beginning that stay there.
    run_bytes : int
        Bytes sorted in memory at a time.

    Raises
    ------
    OutputError
        Where the disk is full; the unsorted file stays.
    """
    path = folder.path / name
    with writing(path), path.open("rb") as file:
        if _is_sorted(key(record) for record in islice(records(file), head, None)):
            return
        file.seek(0)
        found = records(file)
        heading = list(islice(found, head))
        numbered = (folder.temporary(f"{name}.{number}") for number in count())
        runs = _write_runs(numbered, found, key, run_bytes)
        while len(runs) > _MOST_RUNS:
            groups = [runs[first : first + _MOST_RUNS] for first in range(0, len(runs), _MOST_RUNS)]
            runs = [_merge(group, key, records, [], next(numbered)) for group in groups]
        complete = _merge(runs, key, records, heading, next(numbered))
    folder.put(name, complete)


def score_key(record: bytes) -> tuple[bytes, bytes]:
    """Return window_end and machine_id of a row of ``scores.csv`` in an order of bytes.

    Examples
    --------
    >>> score_key(b"m,1970-01-01T00:00:00Z,1970-01-01T00:00:01.5Z,0")
    (b'1970-01-01T00:00:01.5', b'm')
    """
    if record.startswith(b'"'):
        machine, _, end = next(csv.reader([record.decode()]))[:3]
        return _sortable(end.encode()), machine.encode()
    name, _, after, _ = record.split(b",", 3)
    return _sortable(after), name


def alert_key(record: bytes) -> tuple[str, str, str]:
    """Return window_end, machine_id and kind of a line of ``alerts.jsonl``."""
    event = orjson.loads(record)
    return event["window_end"].removesuffix("Z"), event["machine_id"], event["kind"]


def _sortable(time: bytes) -> bytes:
    # without the Z a time that ends earlier is a prefix, and prefixes come first
    return time.removesuffix(b"Z")


def csv_records(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines, joined where a newline stands in quotes."""
    parts: list[bytes] = []
    odd = False
    for line in file:
        parts.append(line)
        odd ^= bool(line.count(b'"') % 2)
        if not odd:
            yield b"".join(parts)
            parts.clear()


def _is_sorted(keys: Iterator[Any]) -> bool:
    last = next(keys, None)
    for key in keys:
        if key < last:
            return False
        last = key
    return True


def _write_runs(
    numbered: Iterator[Path], records: Iterable[bytes], key: Key, run_bytes: int
) -> list[Path]:
    runs: list[Path] = []
    run: list[bytes] = []
    size = 0

    def spill() -> None:
        path = next(numbered)
        run.sort(key=key)
        path.write_bytes(b"".join(run))
        runs.append(path)
        run.clear()

    for record in records:
        run.append(record)
        size += len(record)
        if size >= run_bytes:
            spill()
            size = 0
    if run:
        spill()
    return runs


def _merge(runs: list[Path], key: Key, records: Split, heading: list[bytes], target: Path) -> Path:
    with ExitStack() as stack, target.open("wb") as out:
        out.writelines(heading)
        files = [stack.enter_context(run.open("rb")) for run in runs]
        streams: list[Iterator[bytes]] = [records(file) for file in files]
        merged: Iterator[bytes] = heapq.merge(*streams, key=key)
        out.writelines(merged)
    for run in runs:
        run.unlink()
    return target
