"""A plan of faults: one in each stretch of time, at hours when it can be seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.faults import FAULT_KINDS, Fault
from simulators.recursion import Floats
from simulators.seeds import Purpose, generator
from simulators.sensors import Sensor
from simulators.stream import Layout
from simulators.workplan import HOUR_S, WorkPlan

CELLS = 10_000
"""Cells that the time for faults is divided into, each either of work or of rest."""

COUPLED = 0.8
"""Gain from which on a sensor follows the others closely enough to lose its correlation."""


def _wears(sensor: Sensor) -> bool:
    return sensor.wear > 0


def _follows(sensor: Sensor) -> bool:
    return abs(sensor.load_gain) + abs(sensor.material_gain) >= COUPLED


def _any(sensor: Sensor) -> bool:
    del sensor
    return True


@dataclass(frozen=True, slots=True)
class Usual:
    """How a kind of fault usually comes: hours, size, how many sensors of which sort, when.

    A length of 0 hours stands for `SPIKE_SLOTS` readings, 0 sensors for all of the machine.
    """

    hours: tuple[float, float]
    severity: tuple[float, float]
    sensors: int
    touches: Callable[[Sensor], bool] = _any
    at_rest: bool = False


USUAL = {
    "spike": Usual((0.0, 0.0), (10.0, 16.0), 1),
    "drift": Usual((2.0, 4.0), (8.0, 12.0), 1),
    "stuck": Usual((1.5, 3.0), (1.0, 1.0), 1),
    "lost_correlation": Usual((3.0, 5.0), (1.5, 2.5), 2, touches=_follows),
    "wrong_regime": Usual((3.0, 6.0), (9.0, 12.0), 0, at_rest=True),
    "degradation": Usual((8.0, 16.0), (8.0, 12.0), 3, touches=_wears),
    "intermittent": Usual((2.0, 4.0), (8.0, 12.0), 1),
}

SPIKE_SLOTS = 3


def drawn(
    layout: Layout,
    seed: int,
    start_ns: int,
    count: int,
    *,
    duration_s: float,
    clean_until_s: float,
    kinds: Sequence[str] = (),
    severity: float = 1.0,
) -> list[Fault]:
    """Draw `count` faults between `clean_until_s` and `duration_s`, in order of time.

    Kinds come in turn. Each fault has a stretch of time to itself and ends within it: those of
    `wrong_regime` share the weekends, the others share the rest, in equal parts. Where the stream
    has no weekend, or nothing else, all share what there is.

    Raises
    ------
    ValueError
        When an argument is outside its range, or there is not room for so many faults.
    """
    _check(count, duration_s, clean_until_s, kinds, severity)
    rng = generator(seed, Purpose.SCHEDULE)
    turn = list(kinds) or rng.permutation(FAULT_KINDS).tolist()
    waiting = [turn[number % len(turn)] for number in range(count)]
    borders = np.linspace(clean_until_s, duration_s, CELLS + 1)
    faults = []
    for kind, low_s, high_s in _placed(waiting, borders, _rests(borders, start_ns)):
        machine = layout.machine_ids[int(rng.integers(len(layout.machine_ids)))]
        faults.append(_one(layout, machine, kind, (low_s, high_s), severity=severity, rng=rng))
    return sorted(faults, key=lambda fault: fault.start_s)


def _rests(borders: Floats, start_ns: int) -> NDArray[np.bool_]:
    """Return which cells between the borders (in seconds) lie on a weekend."""
    middle = (borders[:-1] + borders[1:]) / 2
    # Weekends are the same for every machine, so any machine's plan will do.
    work = WorkPlan(0, 0).at(start_ns + (middle * 1e9).astype(np.int64))
    return np.asarray(work.activity < 0.5)


def _placed(
    kinds: Sequence[str], borders: Floats, rests: NDArray[np.bool_]
) -> Iterator[tuple[str, float, float]]:
    """Yield each kind with the stretch of time that is its own."""
    mixed = rests.any() and not rests.all()
    for at_rest in (False, True) if mixed else (bool(rests.all()),):
        group = [kind for kind in kinds if not mixed or USUAL[kind].at_rest == at_rest]
        cells = np.array_split(np.flatnonzero(rests == at_rest), max(len(group), 1))
        for kind, own in zip(group, cells, strict=False):
            yield kind, *_longest(own, borders)


def _longest(cells: NDArray[np.intp], borders: Floats) -> tuple[float, float]:
    """Return the borders of the longest run of neighbouring cells; empty has no length."""
    run = max(np.split(cells, np.flatnonzero(np.diff(cells) > 1) + 1), key=len)
    if len(run) == 0:
        return 0.0, 0.0
    return float(borders[run[0]]), float(borders[run[-1] + 1])


def _one(
    layout: Layout,
    machine_id: str,
    kind: str,
    stretch_s: tuple[float, float],
    *,
    severity: float,
    rng: np.random.Generator,
) -> Fault:
    usual, period_s = USUAL[kind], layout.period_s
    room_s = stretch_s[1] - stretch_s[0]
    if room_s < 4 * SPIKE_SLOTS * period_s:
        raise ValueError(
            f"count: so many faults have no room; each needs {4 * SPIKE_SLOTS} periods of "
            f"{period_s:g} s and {kind} would get {room_s:.0f} s"
        )
    usual_s = rng.uniform(*usual.hours) * HOUR_S or SPIKE_SLOTS * period_s
    length_s = max(1, round(min(usual_s, 0.8 * room_s) / period_s)) * period_s
    # Whole periods only, and one in hand for the rounding of the stretch's own borders.
    start_s = stretch_s[0] + rng.uniform() * (room_s - length_s - period_s)
    size = round(float(rng.uniform(*usual.severity)) * severity, 2)
    start_s = math.ceil(start_s / period_s) * period_s
    return Fault(machine_id, kind, start_s, length_s, _sensors(layout, usual, rng), size)


def _sensors(layout: Layout, usual: Usual, rng: np.random.Generator) -> tuple[str, ...]:
    names = [sensor.name for sensor in layout.sensors if usual.touches(sensor)]
    names = names or list(layout.sensor_names)
    picked = rng.permutation(len(names))[: usual.sensors]
    return tuple(names[at] for at in sorted(picked))


def _check(
    count: int, duration_s: float, clean_until_s: float, kinds: Sequence[str], severity: float
) -> None:
    if count < 0:
        raise ValueError(f"count: {count} is not allowed; give 0 or more faults")
    if not 0 <= clean_until_s < duration_s:
        raise ValueError(
            f"clean_until_s: {clean_until_s:.0f} s is not allowed; give 0 or more, and less than "
            f"the {duration_s:.0f} s of the stream"
        )
    if not severity > 0:
        raise ValueError(f"severity: {severity:g} is not allowed; give more than 0")
    for kind in kinds:
        if kind not in FAULT_KINDS:
            raise ValueError(f"kind: {kind!r} is not one of {', '.join(FAULT_KINDS)}")
