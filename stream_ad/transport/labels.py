"""Labels of a recorded file, for evaluation only: no path from here leads into training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_ad.config import Config, InputConfig
from stream_ad.errors import InputError
from stream_ad.transport import fields
from stream_ad.transport.distinct import distinct
from stream_ad.transport.files import kind_of, open_table
from stream_ad.transport.json_lines import record_blocks
from stream_ad.transport.json_text import loads
from stream_ad.transport.layout import Layout
from stream_ad.transport.lines import LongLine
from stream_ad.transport.tables import ONE_MACHINE, name_codes, plain
from stream_ad.transport.times import NAT, TimeReader

ANOMALY = frozenset(
    {"true", "t", "yes", "y", "anomaly", "anomalous", "abnormal", "attack", "fault", "faulty"}
    | {"failure", "error", "outlier"}
)
NORMAL = frozenset(
    {"", "false", "f", "no", "n", "normal", "ok", "good", "healthy", "nominal", "none", "null"}
    | {"nan", "na", "n/a", "inlier"}
)
Labels = tuple[NDArray[np.object_], NDArray[np.int64], NDArray[np.int8]]


def read_labels(path: Path, config: Config, column: str, after: int | None = None) -> Labels:
    """Read which rows of a file are anomalies.

    A label is an anomaly where it is true, a number other than 0, or one of the words of
    ``ANOMALY``; it is normal where it is false, 0, empty or one of ``NORMAL``. Case does not
    matter. Rows without a readable machine or time are left out.

    Parameters
    ----------
    path : Path
        CSV, JSON lines or Parquet; only machine, time and label are read.
    config : Config
        ``input`` and ``limits`` are used.
    column : str
        Column name, or dotted path in JSON lines.
    after : int, optional
        Rows at or before this time, in ns, are dropped as they are read.

    Returns
    -------
    machine : object array (n,)
    time : int64 array (n,)
        Nanoseconds since the epoch, UTC.
    label : int8 array (n,)
        1 where anomalous, else 0.

    Raises
    ------
    InputError
        For a file that cannot be read, has no such label, or one that is none of the words.
    """
    chunks = _json_chunks if kind_of(path) == "json" else _table_chunks
    parts = []
    for part in chunks(path, config, column):
        labels = _chunk(*part, config.input, path, column)
        later = slice(None) if after is None else np.flatnonzero(labels[1] > after)
        parts.append((labels[0][later], labels[1][later], labels[2][later]))
    return (
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]),
    )


def check_labels(path: Path, config: Config, column: str) -> None:
    """Read the first labels of a file, so that a wrong name is told before the work.

    Raises
    ------
    InputError
        As `read_labels`.
    """
    chunks = _json_chunks if kind_of(path) == "json" else _table_chunks
    for part in chunks(path, config, column):
        _chunk(*part, config.input, path, column)
        return


def is_anomaly(label: object) -> bool | None:
    """Return whether a label says anomaly; None where it says neither.

    Examples
    --------
    >>> [is_anomaly(x) for x in (1, "0.0", "Fault", None, True, "maybe", -1)]
    [True, False, True, False, True, None, True]
    """
    word = "" if label is None else str(label).strip().lower()
    if word in ANOMALY or word in NORMAL:
        return word in ANOMALY
    try:
        return float(word) != 0
    except ValueError:
        return None


def _chunk(  # noqa: PLR0917 (three columns, then what reads them)
    machine: pa.Array | None,
    time: pa.Array,
    label: pa.Array,
    config: InputConfig,
    path: Path,
    column: str,
) -> Labels:
    times = TimeReader(config).column(plain(time), Counter())
    good = times != NAT
    machines = np.full(len(times), ONE_MACHINE, object)
    if machine is not None:
        names, valid, codes = name_codes(plain(machine))
        machines, good = np.array(names, object)[codes], good & valid[codes]
    words, places = distinct(plain(label))
    meanings = [is_anomaly(word) for word in words]
    if None in meanings:
        value = fields.brief(words[meanings.index(None)])
        allowed = "0, another number, true, false, or a word such as normal, anomaly, fault"
        raise InputError(f"{path}: {column} = {value}: allowed is {allowed}")
    return machines[good], times[good], np.array(meanings, np.int8)[places][good]


def _table_chunks(
    path: Path, config: Config, column: str
) -> Iterator[tuple[pa.Array | None, pa.Array, pa.Array]]:
    own = config.input.fields
    layout = Layout({own.time: "time", column: "text"})
    if own.machine_id is not None:
        layout = Layout({own.machine_id: "name", **layout.roles})
    for columns, *_ in open_table(path, layout, config).blocks():
        machine = None if own.machine_id is None else columns[own.machine_id]
        yield machine, columns[own.time], columns[column]


def _json_chunks(
    path: Path, config: Config, column: str
) -> Iterator[tuple[pa.Array | None, pa.Array, pa.Array]]:
    own = config.input.fields
    names = (own.machine_id or "", fields.time_field(config.input), column)
    wanted = [fields.Path(name) for name in names]
    found = False
    for block in record_blocks(path, config.limits.record_bytes):
        rows = [] if isinstance(block, LongLine) else [_parts(line, wanted) for line in block]
        found |= any(row[2] is not fields.ABSENT for row in rows)
        texts = [
            pa.array([_text(part) for part in parts], pa.string())
            for parts in zip(*rows, strict=True)
        ]
        if texts:
            yield None if own.machine_id is None else texts[0], texts[1], texts[2]
    if not found:
        raise InputError(f"{path}: no record has a label {column!r}")


def _parts(line: bytes, wanted: list[fields.Path]) -> list[object]:
    try:
        tree = loads(line)
    except ValueError:
        tree = None
    return [path.of(tree) if type(tree) is dict else fields.ABSENT for path in wanted]


def _text(part: object) -> str | None:
    return None if part is None or part is fields.ABSENT else str(part)
