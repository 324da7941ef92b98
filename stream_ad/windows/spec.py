"""The window grid as whole numbers, and the texts of its times."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import orjson
from numpy.typing import NDArray

from stream_ad.config import SensorConfig, WindowsConfig
from stream_ad.errors import ConfigError

NS = 1_000_000_000
NEVER = np.iinfo(np.int64).max // 4  # a span of time or slots that nothing exceeds
_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """The event-time grid of a machine group.

    Parameters
    ----------
    sensors : tuple of SensorConfig
        The C sensors, in column order.
    period_ns : int
        Length of a slot.
    length, hop : int
        Slots per window; slots between the starts of two windows.
    disorder_ns : int
        How far the watermark stays behind the newest reading.
    max_gap_slots : tuple of int
        Per sensor: into how many empty slots a value is carried forward.
    max_jump_ns : int
        A reading farther ahead than this waits for another one that confirms it.

    Examples
    --------
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a"], period_s=60, length=4))
    >>> spec.hop, spec.window_ns // NS, spec.max_gap_slots
    (4, 240, (2,))
    """

    sensors: tuple[SensorConfig, ...]
    period_ns: int
    length: int
    hop: int
    disorder_ns: int
    max_gap_slots: tuple[int, ...]
    max_jump_ns: int

    @classmethod
    def from_config(cls, config: WindowsConfig) -> WindowSpec:
        """Translate seconds into nanoseconds and slots.

        Defaults that depend on others: ``hop`` = ``length``; ``max_gap_s`` = two periods;
        ``max_jump_s`` = 1000 periods, at least an hour.

        Raises
        ------
        ConfigError
            Without sensors or period.
        """
        if config.period_s is None:
            raise ConfigError("windows.period_s", None, "the seconds between two readings")
        if not config.sensors:
            raise ConfigError("windows.sensors", [], "a list of at least one sensor name")
        period = _ns(config.period_s)
        gap = 2 * config.period_s if config.max_gap_s is None else config.max_gap_s
        gaps = (gap if s.max_gap_s is None else s.max_gap_s for s in config.sensors)
        jump = config.max_jump_s or max(1000 * config.period_s, 3600.0)
        return cls(
            sensors=config.sensors,
            period_ns=period,
            length=config.length,
            hop=config.hop or config.length,
            disorder_ns=_ns(config.disorder_s),
            max_gap_slots=tuple(_ns(g) // period for g in gaps),
            max_jump_ns=_ns(jump),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Sensor names in column order."""
        return tuple(sensor.name for sensor in self.sensors)

    @property
    def window_ns(self) -> int:
        """Span of a window."""
        return self.length * self.period_ns

    @property
    def hop_ns(self) -> int:
        """Time between the starts of two windows."""
        return self.hop * self.period_ns

    @property
    def overlap(self) -> int:
        """Most windows that one reading can lie in."""
        return -(-self.length // self.hop)

    def digest(self) -> str:
        """Return a fingerprint of everything that machine states depend on."""
        tree = asdict(self) | {"sensors": [s.model_dump() for s in self.sensors]}
        return hashlib.sha256(orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _ns(seconds: float) -> int:
    return round(min(seconds * NS, NEVER))


@lru_cache(maxsize=65_536)  # windows of all machines end at the same times
def rfc3339(ns: int) -> str:
    """Write a time as RFC 3339 in UTC, with as many decimals as it needs.

    Parameters
    ----------
    ns : int
        Nanoseconds since the epoch.

    Returns
    -------
    str

    Examples
    --------
    >>> rfc3339(1_700_000_000_500_000_000), rfc3339(0)
    ('2023-11-14T22:13:20.5Z', '1970-01-01T00:00:00Z')
    """
    seconds, rest = divmod(ns, NS)
    days, seconds = divmod(seconds, 86_400)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{_day_text(days)}T{hour:02d}:{minute:02d}:{second:02d}"
    return f"{text}.{rest:09d}".rstrip("0") + "Z" if rest else f"{text}Z"


@lru_cache(maxsize=4096)
def _day_text(days: int) -> str:
    return date.fromordinal(_EPOCH_DAY + int(days)).isoformat()


def missing_share(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of missing cells per window among the known sensors.

    Parameters
    ----------
    values : float32 array (n, T, C)
    known : bool array (C,)
        Sensors that had any value in the history; the others are not counted.

    Returns
    -------
    float64 array (n,), 1 where no sensor is known.

    Examples
    --------
    >>> v = np.array([[[1, np.nan], [np.nan, np.nan]]], np.float32)
    >>> missing_share(v, np.array([True, False]))
    array([0.5])
    """
    if not known.any():
        return np.ones(len(values))
    missing = np.isnan(values[:, :, known])
    share: NDArray[np.float64] = missing.sum(axis=(1, 2)) / (missing.shape[1] * missing.shape[2])
    return share


def parse_rfc3339(text: str) -> int:
    """Read back what `rfc3339` wrote.

    Parameters
    ----------
    text : str
        In UTC, ending in Z.

    Returns
    -------
    int
        Nanoseconds since the epoch.

    Examples
    --------
    >>> parse_rfc3339(rfc3339(1_700_000_000_000_000_001))
    1700000000000000001
    """
    # numpy reads all nine decimals, datetime only six
    return int(np.datetime64(text.removesuffix("Z"), "ns").astype(np.int64))
