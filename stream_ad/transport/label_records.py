"""``labels.jsonl``: what operators said of incidents, one `LabelRecord` a line.

A file grows at its end; of several lines about an incident the last counts.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from stream_ad.config import InputConfig
from stream_ad.errors import InputError
from stream_ad.records import LabelRecord
from stream_ad.transport.durable import writing
from stream_ad.transport.lines import reading, without_mark
from stream_ad.transport.times import NAT, TimeReader
from stream_ad.windows import rfc3339

NAME = "labels.jsonl"
_TIMES = ("started_at", "ended_at", "labelled_at")


def read_label_records(path: Path) -> list[LabelRecord]:
    """Read what counts: the last label of each incident, in the order of the file.

    Raises
    ------
    InputError
        For a file that cannot be read, or a line that is no label, with its number.

    Examples
    --------
    >>> import tempfile
    >>> label = LabelRecord(incident_id="0123456789abcdef", label="normal", machine_id="press-1",
    ...     machine_group="default", started_at="2024-01-01T00:00:00Z", ended_at=None,
    ...     labelled_at="2024-01-02T00:00:00Z")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     append_label(Path(folder) / NAME, label)
    ...     append_label(Path(folder) / NAME, label.model_copy(update={"label": "anomaly"}))
    ...     [one.label for one in read_label_records(Path(folder) / NAME)]
    ['anomaly']
    """
    found: dict[str, LabelRecord] = {}
    for number, line in _lines(path):
        try:
            label = parse_label(line)
        except InputError as error:
            raise InputError(f"{path}, line {number}: no label: {error}") from error
        found.pop(label.incident_id, None)
        found[label.incident_id] = label
    return [*found.values()]


def parse_label(content: bytes) -> LabelRecord:
    """Read one label; its times come back in UTC, as `stream_ad.windows.rfc3339` writes them.

    Raises
    ------
    InputError
        For what is no JSON object with the fields of a label, a time that cannot be read or has no
        zone, a label from before its incident, an end before the start, or an anomaly that is said
        to be a new normal.
    """
    try:
        label = LabelRecord.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the record"
        raise InputError(f"{where}: {first['msg']}") from error
    times = {name: getattr(label, name) for name in _TIMES}
    read = {name: time_of(name, text) for name, text in times.items() if text is not None}
    for name, time in read.items():
        if time < read["started_at"]:
            raise InputError(f"{name} = {times[name]} lies before started_at")
    if label.label == "anomaly" and label.new_normal != "no":
        raise InputError(f"new_normal = {label.new_normal}: an anomaly is no new normal")
    return label.model_copy(update={name: rfc3339(time) for name, time in read.items()})


def time_of(name: str, text: str) -> int:
    """Return a time in ns.

    Parameters
    ----------
    name : str
        What it is the time of, for the error.
    text : str
        RFC 3339 with a zone, or milliseconds since the epoch.

    Raises
    ------
    InputError
        For any other text.

    Examples
    --------
    >>> time_of("labelled_at", "1970-01-01T01:00:00+01:00"), time_of("labelled_at", "1")
    (0, 1000000)
    """
    counts: Counter[str] = Counter()
    time = TimeReader(InputConfig()).one(text, counts)
    if time == NAT or counts:
        allowed = "RFC 3339 with a zone, such as 2024-05-01T12:00:00Z, or milliseconds"
        raise InputError(f"{name} = {text!r}: allowed is {allowed}")
    return time


def append_label(path: Path, label: LabelRecord) -> None:
    """Write a label at the end of a file, made if need be; on return it lies on the disk.

    Raises
    ------
    OutputError
        Where it cannot be written; the file is as it was.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _append(file, label.model_dump_json().encode() + b"\n")
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # the name of a new file
        finally:
            os.close(folder)


def _append(file: BinaryIO, line: bytes) -> None:
    before = file.seek(0, os.SEEK_END)
    if before:
        file.seek(before - 1)
        line = line if file.read(1) == b"\n" else b"\n" + line  # edited by hand, or torn
    left = memoryview(line)
    try:
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())
    except OSError:
        file.truncate(before)
        raise


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, counted from 1."""
    with reading(path):
        content = without_mark(path, path.read_bytes())
    for number, line in enumerate(content.split(b"\n"), 1):
        if line and not line.isspace():
            yield number, line
