"""Records that nobody can use, each with the cause that its dead letter has to name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from stream_ad.config import LimitsConfig

LIMITS = LimitsConfig()
FAR_AHEAD = "2099-01-01T00:00:00Z"


@dataclass(frozen=True)
class Hostile:
    """One kind: how a good record is spoilt, and the error class it must be given."""

    name: str
    cause: str
    spoil: Callable[[bytes], bytes | None]


def _with(**changes: Any) -> Callable[[bytes], bytes]:
    """Change fields of a record; None in place of a value takes the field out."""

    def spoil(value: bytes) -> bytes:
        tree = orjson.loads(value) | changes
        return orjson.dumps({key: part for key, part in tree.items() if part is not None})

    return spoil


def _wrong_keys(value: bytes) -> bytes:
    return value.replace(b'"machine_id"', b'"machine"').replace(b'"time"', b'"ts"')


def _nested(value: bytes) -> bytes:
    depth = 100 * LIMITS.nesting
    return value[:-1] + b',"more":' + b"[" * depth + b"]" * depth + b"}"


def _huge(value: bytes) -> bytes:
    return value[:-1] + b',"more":"' + b"x" * LIMITS.record_bytes + b'"}'


def _many_sensors(value: bytes) -> bytes:
    return _with(values={f"s{n}": n for n in range(LIMITS.sensors + 1)})(value)


SMALL = (
    Hostile("cut off", "InvalidJson", lambda value: value[: len(value) // 2]),
    Hostile("not JSON", "InvalidJson", lambda value: b"temperature=7;" + value[:20]),
    Hostile("empty", "InvalidJson", lambda value: b""),
    Hostile("invalid UTF-8", "InvalidJson", lambda value: value.replace(b"machine-", b"\xff\xfe")),
    Hostile("wrong type of record", "InvalidRecord", lambda value: b"[" + value + b"]"),
    Hostile("wrong type of values", "InvalidRecord", _with(values=[1, 2, 3])),
    Hostile("wrong type of time", "InvalidRecord", _with(time={"at": 1})),
    Hostile("wrong keys", "InvalidRecord", _wrong_keys),
    Hostile("negative time", "InvalidTime", _with(time=-1_700_000_000_000)),
    Hostile("no time", "InvalidTime", _with(time="soon")),
    Hostile("no value", "NoValue", lambda value: None),
)
LARGE = (
    Hostile("deep nesting", "NestedTooDeep", _nested),
    Hostile("too many sensors", "TooManySensors", _many_sensors),
    Hostile("huge", "RecordTooLarge", _huge),
)
ALL = SMALL + LARGE


def far_ahead(value: bytes) -> bytes:
    """Return a good record moved to a time that only the jump rule can judge."""
    return _with(time=FAR_AHEAD)(value)
