"""Local clock time to UTC, as the IANA zone list has it.

An hour that the clocks show twice is the first of the two; one that they skip is taken as
if they had not been moved yet.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

_NS = 1_000_000_000
_BUCKET_S = 900  # zones change their offset at most once in it


def offset_ns(local_ns: int, zone: ZoneInfo) -> int:
    """Return how far local time is ahead of UTC.

    Parameters
    ----------
    local_ns : int
        Nanoseconds on the local clock since it showed 1970-01-01.
    zone : ZoneInfo

    Examples
    --------
    >>> offset_ns(0, ZoneInfo("Asia/Kolkata")) // 10**9
    19800
    """
    return _offset_s(zone, local_ns // _NS) * _NS


def offsets_ns(local_ns: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Return the same for a column: int64 array (n,)."""
    buckets, which = np.unique(local_ns // (_BUCKET_S * _NS), return_inverse=True)
    firsts = [bucket * _BUCKET_S for bucket in buckets.tolist()]
    starts = np.array([_offset_s(zone, s) for s in firsts], np.int64)
    ends = np.array([_offset_s(zone, s + _BUCKET_S - 1) for s in firsts], np.int64)
    offsets: NDArray[np.int64] = starts[which] * _NS
    for row in np.flatnonzero((starts != ends)[which]):
        offsets[row] = offset_ns(int(local_ns[row]), zone)
    return offsets


@lru_cache(maxsize=65_536)
def _offset_s(zone: ZoneInfo, local_s: int) -> int:
    moment = datetime(1970, 1, 1) + timedelta(seconds=local_s)  # noqa: DTZ001 (local, fold 0)
    offset = zone.utcoffset(moment)
    assert offset is not None  # a ZoneInfo knows every moment
    return round(offset.total_seconds())
