"""Records that are as they should be, taken in columns; every other one is left to the judge.

A record is taken here only where each check of `Decoder` would let it pass and change nothing,
so that the same bits come out, several times as fast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_ad.config import InputConfig, LimitsConfig
from stream_ad.transport.fields import KEY, Path, time_field
from stream_ad.transport.plain_formats import Format, Looks, PlainReadings, PlainWindows, Raws
from stream_ad.transport.tables import LONGEST_NAME, ONE_MACHINE
from stream_ad.transport.times import NAT, TimeReader
from stream_ad.windows.spec import WindowSpec

_TIMES = {int, str, float}

Keys = Sequence[bytes | None] | None


@dataclass(frozen=True, slots=True)
class Plain:
    """The records taken, in columns.

    Parameters
    ----------
    places : list of int (n,)
        Among those given, ascending.
    machine : list of str (n,)
    time : int64 array (n,)
        In ns.
    values : float64 array (n, C) of readings, (n, T, C) of windows
    """

    places: list[int]
    machine: list[str]
    time: NDArray[np.int64]
    values: NDArray[np.float64]


class PlainRecords:
    """Takes the plain ones among some records.

    Plain are records of readings or windows whose machine, time and values lie at the top, or
    whose key names the machine; without quality codes.

    Parameters
    ----------
    config : InputConfig
    limits : LimitsConfig
    spec : WindowSpec
    times : TimeReader

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a", "b"], period_s=1))
    >>> config = InputConfig()
    >>> records = PlainRecords(config, LimitsConfig(), spec, TimeReader(config))
    >>> good = b'{"machine_id": "m", "time": 5, "values": {"b": 2}}'
    >>> records.take([b"{", good], None, Counter())
    Plain(places=[1], machine=['m'], time=array([5000000]), values=array([[nan,  2.]]))
    """

    def __init__(
        self, config: InputConfig, limits: LimitsConfig, spec: WindowSpec, times: TimeReader
    ) -> None:
        self._times = times
        self._by_column = config.csv.decimal == "."  # a column reads 1,5 as a number otherwise
        self._machine = config.fields.machine_id
        time = time_field(config)
        name = time if self._machine in {None, KEY} else str(self._machine)
        parts = itemgetter(time, name, config.fields.values)
        self._format: Format
        windows = config.format == "window"
        self._format = (
            PlainWindows(parts, limits, spec) if windows else PlainReadings(parts, limits, spec)
        )

    @staticmethod
    def exist(config: InputConfig) -> bool:
        """Return whether any record of such an input is plain."""
        own = config.fields
        machine = [own.machine_id] if own.machine_id not in {None, KEY} else []
        named = [str(name) for name in (time_field(config), own.values, *machine)]
        top = all(Path(name).is_top and not name.startswith("$") for name in named)
        return top and config.good_quality is None and config.format != "long"

    def take(self, raws: Raws, keys: Keys, counts: Counter[str]) -> Plain:
        """Return the plain ones.

        Parameters
        ----------
        raws : sequence of bytes or None
            The records.
        keys : sequence of bytes or None, optional
            Their keys, where a key names the machine.
        counts : Counter
            Takes what `TimeReader` counts.
        """
        looks = self._format.look(raws)
        self._name(looks, keys)
        values = self._values(looks)
        if values is None:
            looks = looks.take(self._plain_ones(looks))
            values = self._values(looks)
        assert values is not None
        time = self._time(looks.stamps, counts)
        if (time == NAT).any():
            good = np.flatnonzero(time != NAT)
            looks, time, values = looks.take(good.tolist()), time[good], values[good]
        return Plain(looks.places, looks.machines, time, values)

    def _name(self, looks: Looks, keys: Keys) -> None:
        if self._machine is None:
            looks.machines = [ONE_MACHINE] * len(looks.places)
        elif self._machine == KEY:
            looks.machines = [_text(keys[place]) for place in looks.places]  # type: ignore[index]  # given with $key
        elif int in map(type, looks.machines):  # many producers number their machines
            looks.machines = [str(m) if type(m) is int else m for m in looks.machines]

    def _values(self, looks: Looks) -> NDArray[np.float64] | None:
        """Return the cells; None unless all records are plain."""
        heads_are_plain = (
            {str}.issuperset(map(type, looks.machines))
            and all(looks.machines)
            and max(map(len, looks.machines), default=0) <= LONGEST_NAME
            and _TIMES.issuperset(map(type, looks.stamps))
        )
        return self._format.columns(looks.cells) if heads_are_plain else None

    def _plain_ones(self, looks: Looks) -> list[int]:
        rows = zip(looks.machines, looks.stamps, looks.cells, strict=True)
        return [
            at
            for at, (machine, stamp, cells) in enumerate(rows)
            if type(machine) is str
            and 0 < len(machine) <= LONGEST_NAME
            and type(stamp) in _TIMES
            and self._format.are_plain(cells)
        ]

    def _time(self, stamps: list[Any], counts: Counter[str]) -> NDArray[np.int64]:
        kinds = set(map(type, stamps))
        if kinds == {int} or (kinds == {str} and self._by_column):
            try:
                column = pa.array(stamps, pa.int64() if kinds == {int} else pa.string())
                return self._times.column(column, counts)
            except (pa.ArrowInvalid, OverflowError):  # a whole number beyond 64 bits
                pass
        return np.array([self._times.one(stamp, counts) for stamp in stamps], np.int64)


def _text(key: bytes | None) -> str | None:
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return None
