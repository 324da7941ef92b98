"""Which shape the records have, and which columns are sensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_ad.inspection.cells import Column
from stream_ad.inspection.names import SENSOR, VALUE, listed, rank
from stream_ad.inspection.sample import Sample

_SURE_NAMES = SENSOR.index("item")  # from here on the columns must also look like it
_MANY_ROWS = 20


@dataclass(slots=True)
class Sensors:
    """The sensors and where they stand.

    Parameters
    ----------
    names : list of str
    values : dict of str to float64 array
        Of the reading shape: a column per sensor, NaN where nothing stands.
    parent : str, optional
        Of JSON readings: the object that holds the sensors.
    notes : list of str
        What was left out.
    """

    names: list[str] = field(default_factory=list)
    values: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    parent: str | None = None
    notes: list[str] = field(default_factory=list)


def find_long(
    columns: Mapping[str, Column], time: NDArray[np.int64]
) -> tuple[Column, Column] | None:
    """Return the columns of sensor names and values, if each row holds one value.

    Both by name; a sensor column of a less telling name, or a value column of another name
    that is the only one with numbers, must be confirmed by times that repeat.
    """
    tags = [
        (place, column)
        for column in columns.values()
        if (place := rank(column.name, SENSOR, ids=True)) is not None and _is_tag(column)
    ]
    if not tags:
        return None
    place, tag = min(tags, key=lambda found: found[0])
    values = [
        (order, column)
        for column in columns.values()
        if (order := rank(column.name, VALUE)) is not None and np.isfinite(column.numbers).any()
    ]
    if values:
        value = min(values, key=lambda found: found[0])[1]
        if place < _SURE_NAMES or _repeats(time):
            return tag, value
        return None
    numbers = [c for c in columns.values() if c.kind == "number" and c is not tag]
    return (tag, numbers[0]) if len(numbers) == 1 and _repeats(time) else None


def _is_tag(column: Column) -> bool:
    return column.kind == "text" or (column.kind == "number" and column.is_whole())


def _repeats(time: NDArray[np.int64]) -> bool:
    return len(np.unique(time)) < 0.7 * len(time)


def long_sensors(tag: Column, value: Column) -> Sensors:
    """Return the sensors of the long shape: the names seen with at least one number."""
    codes, names = tag.codes()
    with_number = set(codes[np.isfinite(value.numbers)].tolist()) - {-1}
    found = Sensors(sorted(names[code] for code in with_number))
    without = sorted({name for name in names if name} - set(found.names))
    if without:
        found.notes.append(f"never a number, so no sensors: {listed(without)}")
    return found


def reading_sensors(
    sample: Sample, columns: Mapping[str, Column], group: NDArray[np.int64]
) -> Sensors:
    """Return the columns of numbers that are sensors.

    Parameters
    ----------
    sample : Sample
    columns : mapping of str to Column
        Those without another role.
    group : int64 array (n,)
        Equal for rows of one machine that follow each other in the file.
    """
    found = Sensors()
    _note(found, "true or false, not numbers (write 1 and 0 to use them)", columns, "boolean")
    _note(found, "dates, not numbers", columns, "time")
    _note(found, "lists or bytes, not numbers", columns, "nested")
    empty = [name for name, column in columns.items() if column.kind == "empty"]
    if empty:
        where = "" if sample.complete else " in every row looked at"
        found.notes.append(f"left out, since empty{where}: {listed(n or ' ' for n in empty)}")
    text = [column for column in columns.values() if column.kind == "text"]
    if text:
        shown = [f"{column.name} ({column.example})" for column in text]
        found.notes.append(f"text, so no sensors: {listed(shown)}")
    numbers = {name: column for name, column in columns.items() if column.kind == "number"}
    counters = [name for name, column in numbers.items() if _counts_rows(column, group)]
    nameless = [name for name in numbers if not _own_name(sample, name)]
    if counters:
        found.notes.append(f"left out, since only counting rows: {listed(counters)}")
    if nameless and not counters:
        found.notes.append("left out: a column of numbers without a name")
    kept = {n: c for n, c in numbers.items() if n not in counters and n not in nameless}
    if sample.kind == "json":
        kept = _of_one_object(sample, kept, found)
    found.names = list(kept)
    found.values = {name: column.numbers for name, column in kept.items()}
    _note_odd(found, kept.values())
    return found


def _note(
    found: Sensors,
    what: str,
    columns: Mapping[str, Column],
    kind: Literal["boolean", "time", "nested"],
) -> None:
    names = [name for name, column in columns.items() if column.kind == kind]
    if names:
        found.notes.append(f"left out, since {what}: {listed(names)}")


def _note_odd(found: Sensors, kept: Iterable[Column]) -> None:
    odd = [column for column in kept if column.strange]
    if odd:
        shown = [f"{column.name} ({column.strange}, such as {column.example})" for column in odd]
        found.notes.append(f"cells that are no numbers count as missing: {listed(shown)}")
    constant = [name for name, values in found.values.items() if _is_constant(values)]
    if constant:
        found.notes.append(
            f"kept, though constant in all rows looked at: {listed(constant)}; remove what can"
            " never change"
        )


def _own_name(sample: Sample, column: str) -> str:
    return sample.parents[column][1] if sample.parents else column


def _is_constant(values: NDArray[np.float64]) -> bool:
    there = values[np.isfinite(values)]
    return len(there) > 1 and bool((there == there[0]).all())


def _counts_rows(column: Column, group: NDArray[np.int64]) -> bool:
    """Return whether a column goes up by one with each row, of the file or of a machine."""
    numbers = column.numbers
    if len(numbers) < _MANY_ROWS or np.isnan(numbers).any():
        return False
    if (numbers[1:] == numbers[:-1] + 1).mean() > 0.99:
        return True
    order = np.argsort(group, kind="stable")
    same = np.diff(group[order]) == 0
    by_one = numbers[order][1:] == numbers[order][:-1] + 1
    return bool(same.sum() >= _MANY_ROWS and by_one[same].all())


def _of_one_object(sample: Sample, kept: dict[str, Column], found: Sensors) -> dict[str, Column]:
    """Choose the JSON object with the most columns of numbers; sensors lie in one object."""
    parents = [sample.parents[name][0] for name in kept]
    if not parents:
        return kept
    found.parent = max(parents, key=lambda p: (parents.count(p), p == "values"))
    others = [name for name in kept if sample.parents[name][0] != found.parent]
    if others:
        where = "the record" if found.parent == "." else f"`{found.parent}`"
        found.notes.append(f"left out, since the sensors lie in {where}: {listed(others)}")
    return {
        sample.parents[name][1]: column
        for name, column in kept.items()
        if sample.parents[name][0] == found.parent
    }
