"""Which column names the machine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stream_ad.inspection.cells import Column
from stream_ad.inspection.names import MACHINE, MACHINE_WEAK, UNITS, plain, rank

_ALSO_MEASURED = MACHINE[MACHINE.index("robot") :]  # `pump` may be a state of 0 and 1


def find_machine(
    columns: Mapping[str, Column], time: NDArray[np.int64], *, by_structure: bool
) -> tuple[Column | None, str]:
    """Choose the column of machine ids.

    By name, text or whole numbers; a name that also means other things (``unit``, ``line``,
    ``name``) needs few different cells. Otherwise, where most times stand there more than
    once, a column of text that makes them unique is taken.

    Parameters
    ----------
    columns : mapping of str to Column
        Those without another role.
    time : int64 array (n,)
    by_structure : bool
        Whether repeated times mean several machines; not so in the long format.

    Returns
    -------
    Column or None, str
        The column, and why.
    """
    ids = [column for column in columns.values() if _is_id(column)]
    named = [
        (place, column)
        for column in ids
        if (place := rank(column.name, MACHINE, ids=True)) is not None
        and not (column.kind == "number" and plain(column.name) in _ALSO_MEASURED)
    ]
    if named:
        return min(named, key=lambda found: found[0])[1], "by its name"
    few = max(2, len(time) // 20)
    weak = [
        (place, column)
        for column in ids
        if (place := rank(column.name, MACHINE_WEAK, ids=True)) is not None
        and len(_names(column)) <= few
        and not _are_units(column)
    ]
    if weak:
        return min(weak, key=lambda found: found[0])[1], "by its name and its few different cells"
    if by_structure and (column := _separating(ids, time)):
        return column, "each time stands there once for each of its cells"
    return None, ""


def _is_id(column: Column) -> bool:
    if column.kind == "number":
        return not column.strange and column.is_whole() and len(column.distinct()) > 0
    return column.kind == "text"


def _names(column: Column) -> list[str]:
    return [name for name in column.texts().dictionary.to_pylist() if name]


def _are_units(column: Column) -> bool:
    return all(name.strip().lower() in UNITS for name in _names(column))


def _separating(ids: list[Column], time: NDArray[np.int64]) -> Column | None:
    if len(np.unique(time)) > len(time) / 2:
        return None
    for column in ids:
        codes, names = column.codes()
        if column.kind != "text" or not 1 < len(names) <= max(2, len(time) // 20):
            continue
        pairs = np.unique(np.stack((codes, time)), axis=1).shape[1]
        if pairs > 0.99 * len(time):
            return column
    return None
