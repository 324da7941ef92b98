"""Windows of a whole recording, one obvious step after another: what the assembler must equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream_ad.windows import WindowSpec

Row = tuple[int, tuple[float | None, ...]]  # time in ns, one value or None per sensor


@dataclass
class Result:
    windows: dict[int, list[list[float | None]]]  # start in ns -> T rows of C cells
    late: int
    jump: int


def accepted(rows: list[Row], spec: WindowSpec) -> tuple[list[Row], int, int, int | None]:
    """Apply the rules of late and jumping readings, a reading at a time."""
    used: list[Row] = []
    newest: int | None = None
    waiting: list[Row] = []
    late = jump = 0
    for row in rows:
        time = row[0]
        if waiting and time == waiting[0][0]:
            waiting.append(row)
            continue
        far = newest is None or time > newest + spec.max_jump_ns
        if waiting:
            if far and abs(time - waiting[0][0]) <= spec.max_jump_ns:
                used += waiting
                newest = waiting[0][0]
                far = False
            else:
                jump += len(waiting)
            waiting = []
        if far:
            waiting = [row]
        elif newest is not None and time < newest - spec.disorder_ns:
            late += 1
        else:
            used.append(row)
            newest = time if newest is None else max(newest, time)
    return used, late, jump, newest


def windows_of(rows: list[Row], spec: WindowSpec) -> Result:
    """Return all windows that the readings of one machine close."""
    used, late, jump, newest = accepted(rows, spec)
    if newest is None:
        return Result({}, late, jump)
    slots: dict[int, list[tuple[float, int] | None]] = {}
    for time, values in used:
        cells = slots.setdefault(time // spec.period_ns, [None] * len(spec.sensors))
        for sensor, value in enumerate(values):
            cell = cells[sensor]
            if value is not None and (cell is None or time >= cell[1]):
                cells[sensor] = (value, time)
    made: dict[int, list[list[float | None]]] = {}
    # every window that could hold a reading
    numbers = {
        number
        for slot in slots
        for number in range((slot - spec.length) // spec.hop, slot // spec.hop + 1)
        if number * spec.hop <= slot < number * spec.hop + spec.length
    }
    for number in sorted(numbers):
        first = number * spec.hop
        if (first + spec.length) * spec.period_ns > newest - spec.disorder_ns:
            continue
        grid = [
            [carried(slots, slot, sensor, spec) for sensor in range(len(spec.sensors))]
            for slot in range(first, first + spec.length)
        ]
        made[first * spec.period_ns] = grid
    return Result(made, late, jump)


def carried(
    slots: dict[int, list[tuple[float, int] | None]], slot: int, sensor: int, spec: WindowSpec
) -> float | None:
    """Return the value of a cell: its own, or the last one before it if that is near enough."""
    sources = [s for s, cells in slots.items() if s <= slot and cells[sensor] is not None]
    if not sources or slot - max(sources) > spec.max_gap_slots[sensor]:
        return None
    cell = slots[max(sources)][sensor]
    assert cell is not None
    return float(np.float32(cell[0]))
