"""Which column plays which part: time, machine, sensor name, value, quality, label."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_ad.inspection.cells import Column
from stream_ad.inspection.find_machine import find_machine
from stream_ad.inspection.find_time import asked_column, find_time
from stream_ad.inspection.marks import Quality, find_labels, find_quality
from stream_ad.inspection.names import listed
from stream_ad.inspection.sample import Sample
from stream_ad.inspection.shape import find_long
from stream_ad.inspection.spelling import Spelling


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user has decided; None is left to the inspection."""

    time_column: str | None = None
    machine_column: str | None = None
    label_column: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Roles:
    """The parts that the columns play; ``rest`` are those without one.

    ``long`` are the columns of sensor names and values, if each row holds one value.
    """

    time: Column
    spelling: Spelling
    machine: Column | None
    machine_why: str
    labels: list[str]
    long: tuple[Column, Column] | None
    quality: Quality | None
    rest: dict[str, Column]
    notes: list[str] = field(default_factory=list)

    def machine_codes(self) -> NDArray[np.int64]:
        """Return a code (n,) per machine, -1 where none stands."""
        if self.machine is None:
            return np.zeros(len(self.spelling.time), np.int64)
        return self.machine.codes()[0]


def find_roles(path: Path, sample: Sample, asked: Asked) -> Roles:
    """Give each column its part.

    Raises
    ------
    InputError
        Without a column of times, or where an asked column is not there.
    """
    decimal = sample.dialect.decimal
    columns = {
        name: Column.of(name, cells, decimal)
        for name, cells in sample.columns.items()
        if not name.startswith("$")  # a field of the config may not begin so
    }
    labels = label_columns(path, columns, asked)
    rest = {name: column for name, column in columns.items() if name not in labels}
    unasked = _without(rest, asked.machine_column)
    time, spelling, others = find_time(path, unasked, asked.time_column, asked.time_zone)
    notes = [spelling.doubt] if spelling.doubt else []
    if others:
        notes.append(f"times too, but not used: {listed(others)}")
    rest = _without(rest, time.name, *others)
    own = asked.machine_column
    taken = (time.name, *labels)
    machine = None if own is None else asked_column(path, columns, own, "--machine-column", taken)
    rest = _without(rest, own)
    long = find_long(rest, spelling.time)
    rest = _without(rest, *(column.name for column in long or ()))
    why = "as asked"
    if machine is None:
        machine, why = find_machine(rest, spelling.time, by_structure=long is None)
        rest = _without(rest, None if machine is None else machine.name)
    quality = find_quality(rest, long=long is not None)
    if quality is not None:
        rest = _without(rest, *quality.columns)
    return Roles(time, spelling, machine, why, labels, long, quality, rest, notes)


def label_columns(path: Path, columns: dict[str, Column], asked: Asked) -> list[str]:
    """Return the columns of labels, the asked one first.

    Raises
    ------
    InputError
        Where the asked one is not there.
    """
    taken = {asked.time_column, asked.machine_column}
    found = [name for name in find_labels(columns) if name not in taken]
    if asked.label_column is not None:
        own = asked_column(path, columns, asked.label_column, "--label-column", taken).name
        return [own, *(name for name in found if name != own)]
    return found


def _without(columns: dict[str, Column], *names: str | None) -> dict[str, Column]:
    return {name: column for name, column in columns.items() if name not in names}
