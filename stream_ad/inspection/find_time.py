"""Which column tells the time."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_ad.errors import InputError
from stream_ad.inspection.cells import Column
from stream_ad.inspection.names import TIME, listed, rank
from stream_ad.inspection.spelling import CLOCK_ONLY, Spelling, spell
from stream_ad.transport.times import NAT
from stream_ad.windows.spec import NS

_DAY = 86_400 * NS
_FIRST = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp()) * NS
_LAST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * NS
_GLANCE = 100
_COUNTING = 3  # the class of columns that count from zero: the last choice


def find_time(
    path: Path, columns: Mapping[str, Column], asked: str | None, time_zone: str | None
) -> tuple[Column, Spelling, list[str]]:
    """Choose the column of times.

    In this order: named like a time and absolute; text or timestamps of any name; numbers of
    any name that would be ascending epoch times of 1990 to 2100; numbers named like a time
    that count from zero.

    Parameters
    ----------
    path : Path
        For messages.
    columns : mapping of str to Column
    asked : str, optional
        The user's choice.
    time_zone : str, optional
        Of naive times.

    Returns
    -------
    Column, Spelling, list of str
        The column, how it reads, and the other columns that are times too.

    Raises
    ------
    InputError
        Without a column of times, or where the asked one is none.
    """
    found = sorted(
        (order, column.name)
        for column in columns.values()
        if (order := _order(column, time_zone)) is not None
    )
    if asked is not None:
        column = asked_column(path, columns, asked, "--time-column")
        spelling = spell(column, time_zone)
        if spelling is None:
            raise InputError(
                f"{path}: column {asked!r} does not read as times: allowed is ISO 8601 text, an"
                f" epoch number, or a date with a time of day; it holds {_first(column)}"
            )
        return column, spelling, _others(found, asked)
    for order, name in found:
        spelling = spell(columns[name], time_zone)
        if spelling is not None:
            if order[0] < _COUNTING:
                _refuse_split(path, columns, name, spelling.time)
            return columns[name], spelling, _others(found, name)
    raise InputError(f"{path}: {_reason(columns)}")


def _others(found: list[tuple[tuple[int, int], str]], chosen: str) -> list[str]:
    return [name for order, name in found if name != chosen and order[0] < _COUNTING]


def asked_column(
    path: Path,
    columns: Mapping[str, Column],
    name: str,
    option: str,
    taken: Collection[str | None] = (),
) -> Column:
    """Return the column that an option names, or raise InputError with a near one not taken."""
    if name in columns:
        return columns[name]
    free = [column for column in columns if column not in taken]
    near = difflib.get_close_matches(name, free, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the file has {listed(columns, 20)}"
    raise InputError(f"{path}: {option} {name!r}: no such column; {hint}")


def _order(column: Column, time_zone: str | None) -> tuple[int, int] | None:
    """Return how likely it is that a column is the time: class, place of its name."""
    place = rank(column.name, TIME)
    if place is None and column.kind == "number" and not _may_be_epoch(column):
        return None
    glance = replace(column, cells=column.cells[:_GLANCE], numbers=column.numbers[:_GLANCE])
    if column.kind == "number" and not np.isfinite(glance.numbers).any():
        return None
    spelling = spell(glance, time_zone)
    if spelling is None:
        return None
    time = spelling.time[spelling.time != NAT]
    absolute = bool(((time > _FIRST) & (time < _LAST)).mean() > 0.5)
    if column.kind != "number":
        return (0 if place is not None else 1, place or 0)
    if absolute:
        return (0 if place is not None else 2, place or 0)
    ascending = bool((np.diff(time) >= 0).mean() > 0.9) if len(time) > 1 else False
    return (_COUNTING, place or 0) if place is not None and ascending else None


def _may_be_epoch(column: Column) -> bool:
    numbers = column.numbers[np.isfinite(column.numbers)]
    if len(numbers) < 2 or numbers[0] < 6e8:
        return False
    return bool((numbers[1:] >= numbers[:-1]).mean() > 0.95) and numbers[-1] > numbers[0]


def _refuse_split(
    path: Path, columns: Mapping[str, Column], name: str, time: NDArray[np.int64]
) -> None:
    """Raise where the time of day stands in a column of its own."""
    there = time[time != NAT]
    clock = _clock(columns)
    if clock is not None and not (there % _DAY).any() and len(np.unique(there)) < len(there):
        raise InputError(
            f"{path}: date and time of day stand in two columns, {name!r} and {clock!r}; join"
            " them into one, such as 2024-01-31 10:00:00"
        )


def _clock(columns: Mapping[str, Column]) -> str | None:
    for column in columns.values():
        if column.kind == "text" and CLOCK_ONLY.fullmatch(column.example):
            return column.name
    return None


def _reason(columns: Mapping[str, Column]) -> str:
    clock = _clock(columns)
    if clock is not None:
        return f"column {clock!r} holds times of day without a date; add the date to it"
    named = [name for name in columns if rank(name, TIME) is not None]
    hint = "; name it with --time-column: also a column of numbers that count up, taken as seconds"
    if named:
        first = _first(columns[named[0]])
        hint = f"; {named[0]!r} is named like one but does not read as times, it holds {first}"
    return f"no column of times among {listed(columns, 20)}{hint}"


def _first(column: Column) -> str:
    """Return the first cell that holds something, for a message."""
    cells = column.cells[:_GLANCE].drop_null().to_pylist()
    return repr(next((cell for cell in cells if cell != ""), None))[:60]
