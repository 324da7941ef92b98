"""Windows made by others: their cells, in the order of the configured sensors."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_ad.transport.cells import NUMBERS, number_rows, one_number
from stream_ad.transport.fields import Path, Rejected
from stream_ad.transport.tables import LONGEST_NAME
from stream_ad.windows.spec import NS, WindowSpec

_NUMBER_TYPES = {int, float}
_LONGEST_S = 1e12


class WindowCells:
    """Reads ``period_s``, ``sensors``, ``values`` and ``mask`` of a window record.

    Parameters
    ----------
    spec : WindowSpec
        What the windows must fit.

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a", "b"], period_s=1, length=2))
    >>> parts = {"period_s": 1, "sensors": ["b"], "values": [[1], [None]]}
    >>> WindowCells(spec).of(parts, Path("values"), Counter())
    array([[nan,  1.],
           [nan, nan]])
    """

    def __init__(self, spec: WindowSpec) -> None:
        self._spec = spec
        self.shape = (spec.length, len(spec.names))

    def is_plain(self, parts: dict[str, Any]) -> bool:
        """Return whether the judge would accept the parts; it may also where this says no."""
        period, names = parts.get("period_s"), parts.get("sensors")
        if type(period) not in _NUMBER_TYPES or not 0 < period <= _LONGEST_S:  # type: ignore[operator]  # a number
            return False
        if type(names) is not list or not _are_names(names):
            return False
        mask = parts.get("mask")
        return _is_table(parts.get("values")) and (mask is None or _is_table(mask))

    def skeleton(self, parts: dict[str, Any]) -> dict[str, Any]:
        """Return the parts that pydantic need not walk through, emptied if they are lists."""
        tables = [name for name in ("values", "mask") if _is_table(parts.get(name))]
        lists: dict[str, Any] = {name: [] for name in tables}
        return lists | ({"mask": None} if parts.get("mask", ...) is None else {})

    def of(self, parts: dict[str, Any], path: Path, counts: Counter[str]) -> NDArray[np.float64]:
        """Return the cells, NaN where missing: float64 array (T, C).

        Raises
        ------
        Rejected
            Where period, sensors or shape do not fit the config.
        """
        period, names = parts["period_s"], parts["sensors"]
        if round(period * NS) != self._spec.period_ns:
            wanted = self._spec.period_ns / NS
            raise _misfit(f"period_s = {period}: allowed is windows.period_s = {wanted:g}")
        if len(set(names)) < len(names):
            raise _misfit("sensors: allowed is every name once")
        cells = self._table(parts["values"], str(path), len(names))
        numbers = self._numbers(cells, counts)
        if parts.get("mask") is not None:
            mask = self._table(parts["mask"], "mask", len(names))
            if set(map(type, chain.from_iterable(mask))) - {bool}:
                raise _misfit("mask: allowed are true and false")
            numbers[np.array(mask, bool).reshape(numbers.shape)] = np.nan
        return self._ordered(numbers, names)

    def _table(self, rows: list[list[Any]], key: str, columns: int) -> list[list[Any]]:
        if len(rows) != self._spec.length:
            allowed = f"windows.length = {self._spec.length}"
            raise _misfit(f"{key} has {len(rows)} rows: allowed are {allowed}")
        if any(len(row) != columns for row in rows):
            raise _misfit(f"{key}: allowed are {columns} cells per row, one per sensor")
        return rows

    def _numbers(self, cells: list[list[Any]], counts: Counter[str]) -> NDArray[np.float64]:
        if not NUMBERS.issuperset(map(type, chain.from_iterable(cells))):
            cells = [[one_number(cell, counts) for cell in row] for row in cells]
        return number_rows(cells, len(cells[0]))

    def _ordered(self, numbers: NDArray[np.float64], names: list[str]) -> NDArray[np.float64]:
        wanted = self._spec.names
        if tuple(names) == wanted:
            return numbers
        ordered = np.full(self.shape, np.nan)
        known = [place for place, name in enumerate(wanted) if name in names]
        if not known:
            raise _misfit(f"sensors: none of the configured ones, {', '.join(wanted[:20])}")
        ordered[:, known] = numbers[:, [names.index(wanted[place]) for place in known]]
        return ordered


def _are_names(names: list[Any]) -> bool:
    return all(type(name) is str and 0 < len(name) <= LONGEST_NAME for name in names)


def _is_table(part: object) -> bool:
    return isinstance(part, list) and all(type(row) is list for row in part)


def _misfit(message: str) -> Rejected:
    return Rejected("WindowMisfit", message)
