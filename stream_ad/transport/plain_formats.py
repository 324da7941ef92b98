"""How plain records of each format are taken: readings by sensor names, windows packed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from operator import itemgetter
from typing import Any, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from stream_ad.config import LimitsConfig
from stream_ad.transport.cells import NUMBERS, number_rows
from stream_ad.transport.json_text import shallow
from stream_ad.transport.tables import LONGEST_NAME
from stream_ad.windows.spec import NS, WindowSpec

Raws = Sequence[bytes | None]
_ODD = (ValueError, KeyError, TypeError, AttributeError, OverflowError, struct.error)
_SQUARE = ord("[")


@dataclass(slots=True)
class Looks:
    """Records that look plain so far: places, and times, machines, cells as they stand there."""

    places: list[int]
    stamps: list[Any]
    machines: list[Any]
    cells: list[Any]

    def take(self, chosen: list[int]) -> Looks:
        """Return the chosen ones."""
        columns = (self.places, self.stamps, self.machines, self.cells)
        return Looks(*([column[at] for at in chosen] for column in columns))


class Format(Protocol):
    """How the records of one format are taken."""

    def look(self, raws: Raws) -> Looks:
        """Return what looks plain."""
        ...

    def columns(self, cells: list[Any]) -> NDArray[np.float64] | None:
        """Return the cells of all records as one array; None unless all are plain."""
        ...

    def are_plain(self, cells: Any) -> bool:
        """Return whether the cells of one record are."""
        ...


class PlainReadings:
    """Cells by the names of the sensors."""

    def __init__(
        self, parts: Callable[[Any], tuple[Any, ...]], limits: LimitsConfig, spec: WindowSpec
    ) -> None:
        self._parts, self._limits, self._names = parts, limits, spec.names
        pick: Callable[[Any], Any] = itemgetter(*spec.names)
        self._pick = pick if len(spec.names) > 1 else lambda values: (pick(values),)
        self._pack = struct.Struct(f"{len(spec.names)}d").pack

    def look(self, raws: Raws) -> Looks:
        """Return what looks plain; cells have not been looked at."""
        limits, loads, parts, pick = self._limits, orjson.loads, self._parts, self._pick
        places, stamps, machines, rows = [], [], [], []
        longest, most, nesting = limits.record_bytes, limits.sensors, limits.nesting
        braces = 2 if nesting > 1 else 0  # around a record and around its values
        for place, raw in enumerate(raws):
            try:
                if raw is None or len(raw) > longest:
                    continue
                stamp, machine, values = parts(loads(raw))
                if len(values) > most:
                    continue
                if (raw.count(b"{") > braces or b"[" in raw) and not shallow(raw, nesting):
                    continue
                try:
                    cells = pick(values)
                except KeyError:
                    cells = [values.get(name) for name in self._names]
            except _ODD:
                continue
            places.append(place)
            stamps.append(stamp)
            machines.append(machine)
            rows.append(cells)
        return Looks(places, stamps, machines, rows)

    def columns(self, cells: list[Any]) -> NDArray[np.float64] | None:
        """Return the cells, (n, C); None unless all are numbers or missing."""
        pack, shape = self._pack, (len(cells), len(self._names))
        try:
            packed = b"".join([pack(*row) for row in cells])
        except (struct.error, OverflowError):  # null, perhaps
            if not _are_numbers(cells):
                return None
            return number_rows(cells, len(self._names))
        values = np.frombuffer(packed, np.float64).reshape(shape)
        truth = ((values == 0) | (values == 1)).any(axis=1)  # so true and false are packed
        if truth.any() and not _are_numbers(compress(cells, truth)):
            return None
        return values

    def are_plain(self, cells: Any) -> bool:
        """Return whether all cells of a record are numbers or missing."""
        return _are_numbers([cells])


def _are_numbers(rows: Iterable[Iterable[Any]]) -> bool:
    return NUMBERS.issuperset(map(type, chain.from_iterable(rows)))


class PlainWindows:
    """Cells of windows with the sensors and the shape of the config, as packed float64."""

    def __init__(
        self, parts: Callable[[Any], tuple[Any, ...]], limits: LimitsConfig, spec: WindowSpec
    ) -> None:
        self._parts, self._limits = parts, limits
        self._shape = (spec.length, len(spec.names))
        self._widths = [len(spec.names)] * spec.length
        self._pack = struct.Struct(f"{spec.length * len(spec.names)}d").pack
        self._brackets = spec.length + 2  # of the rows, around them, around the sensors
        # None is no period and no list of names: then every record is for the judge
        period = spec.period_ns / NS
        self._period = period if round(period * NS) == spec.period_ns else None
        self._names = [*spec.names] if max(map(len, spec.names)) <= LONGEST_NAME else None

    def look(self, raws: Raws) -> Looks:
        """Return what is plain but for machine and time."""
        looks, parts = Looks([], [], [], []), self._parts
        longest = self._limits.record_bytes
        for place, raw in enumerate(raws):
            try:
                if raw is None or len(raw) > longest:
                    continue
                tree = orjson.loads(raw)
                stamp, machine, values = parts(tree)
                cells = self._cells(raw, tree, values)
            except _ODD:
                continue
            if cells is not None:
                looks.places.append(place)
                looks.stamps.append(stamp)
                looks.machines.append(machine)
                looks.cells.append(cells)
        return looks

    def columns(self, cells: list[Any]) -> NDArray[np.float64]:
        """Return the cells, (n, T, C)."""
        return np.frombuffer(b"".join(cells), np.float64).reshape(len(cells), *self._shape)

    def are_plain(self, cells: Any) -> bool:  # noqa: ARG002 (of all formats)
        """Return True: they were looked at."""
        return True

    def _cells(self, raw: bytes, tree: dict[str, Any], values: Any) -> bytes | None:
        period = tree["period_s"]
        if (
            period != self._period
            or type(period) is bool
            or tree["sensors"] != self._names
            or tree.get("mask") is not None
            or [*map(len, values)] != self._widths
        ):
            return None
        alone = self._stand_alone(raw)
        if not (alone or shallow(raw, self._limits.nesting)):
            return None
        rows = raw.find(b"[[")
        # neither true nor false stands after where the rows begin
        if alone and rows > 0 and raw.find(b"t", rows) < 0 and raw.find(b"f", rows) < 0:
            try:
                return self._pack(*chain.from_iterable(values))
            except struct.error:  # null, perhaps
                pass
        if not _are_numbers(values):
            return None
        return number_rows(values, self._shape[1]).tobytes()

    def _stand_alone(self, raw: bytes) -> bool:
        """Return whether all brackets are those that a plain record has, three deep at most."""
        if self._limits.nesting < 3 or raw.find(b"{", 1) >= 0:
            return False
        squares = np.count_nonzero(np.frombuffer(raw, np.uint8) == _SQUARE)
        return bool(squares == self._brackets)
