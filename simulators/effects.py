"""What each kind of fault does to the sensors it touches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.faults import FAULT_KINDS, Fault
from simulators.machine import DISTURBANCE, Block, Machine
from simulators.recursion import Floats, decay, wander
from simulators.seeds import Purpose, generator
from simulators.sensors import LAGS_S

ONSET = 0.05
"""Creeping faults begin at this share of their full size, so that their label is never empty."""

WANDER_S = np.array(900.0)
COOLING_S = 4 * LAGS_S[-1]
NEGLIGIBLE = 0.01
"""Share of a sensor's normal variation below which a cooling machine counts as cold."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a fault acts on: `n` slots of the sensors at `columns` of one machine."""

    machine: Machine
    columns: NDArray[np.intp]
    n: int
    severity: float
    rng: np.random.Generator

    @property
    def size(self) -> Floats:
        """The fault's full size in each sensor's unit, shape (k,)."""
        return self.severity * self.machine.spread[self.columns]

    def up_or_down(self) -> Floats:
        """Return the full size with one random sign per sensor, shape (k,)."""
        signed: Floats = self.size * self.rng.choice([-1.0, 1.0], len(self.columns))
        return signed

    def reached(self, power: int) -> Floats:
        """Return the share of its full size that a creeping fault has reached: (n, 1)."""
        grown: Floats = np.linspace(0, 1, self.n)[:, None] ** power
        return ONSET + (1 - ONSET) * grown


def _spike(on: Subject) -> Floats:
    """Jump away and back."""
    return np.tile(on.up_or_down(), (on.n, 1))


def _drift(on: Subject) -> Floats:
    """Creep away in a straight line, as a sensor does that loses its calibration."""
    return on.up_or_down() * on.reached(1)


def _stuck(on: Subject) -> Floats:
    """Add nothing: the last value before the fault is held instead."""
    return np.zeros((on.n, len(on.columns)))


def _lost_correlation(on: Subject) -> Floats:
    """Wander alone, in place of the part that was shared with the other sensors."""
    keep = float(decay(on.machine.period_s, WANDER_S))
    own = wander(on.rng, on.n, len(on.columns), keep)
    return on.severity * on.machine.shared_spread[on.columns] * own


def _wrong_regime(on: Subject) -> Floats:
    """Work when nothing was asked, for half of the time or longer, then cool down again."""
    cooling = min(on.n // 2, round(COOLING_S / on.machine.period_s))
    working = np.where(np.arange(on.n) < on.n - cooling, 1.0, 0.0)
    response = on.machine.work_response(on.severity * DISTURBANCE * working)
    response[response < NEGLIGIBLE * on.machine.spread] = 0.0
    noise = on.machine.extra_noise(on.rng, on.n) * working[:, None]
    touched: Floats = (response + noise)[:, on.columns]
    return touched


def _degradation(on: Subject) -> Floats:
    """Grow ever faster in value and in noise, as a bearing does."""
    rough = 1 + 0.2 * on.rng.standard_normal((on.n, len(on.columns)))
    worse: Floats = on.size * on.reached(2) * rough
    return worse


def _intermittent(on: Subject) -> Floats:
    """Come and go as a loose contact does: there at first, then for a third of the time."""
    lengths = on.rng.geometric([0.2, 0.1], (on.n, 2)).ravel()
    contact = np.repeat(np.tile([1.0, 0.0], on.n), lengths)[: on.n, None]
    rough = on.rng.uniform(0.7, 1.3, (on.n, len(on.columns)))
    there: Floats = on.up_or_down() * rough * contact
    return there


SHAPES: dict[str, Callable[[Subject], Floats]] = {
    "spike": _spike,
    "drift": _drift,
    "stuck": _stuck,
    "lost_correlation": _lost_correlation,
    "wrong_regime": _wrong_regime,
    "degradation": _degradation,
    "intermittent": _intermittent,
}
"""What each kind adds to the touched sensors, in their units: (n, k)."""


class Effect:
    """A fault at work on one machine's stream, block after block in order.

    Parameters
    ----------
    fault : Fault
        What happens.
    machine : Machine
        To whom.
    columns : array (k,)
        Positions of the touched sensors.
    """

    def __init__(self, fault: Fault, machine: Machine, columns: NDArray[np.intp]) -> None:
        self._first, self._last = fault.slots(machine.period_s)
        self._code = FAULT_KINDS.index(fault.kind) + 1
        rng = generator(machine.seed, Purpose.FAULTS, machine.number, self._first, self._code)
        n = self._last - self._first
        self._subject = Subject(machine, columns, n, fault.severity, rng)
        self._shape = SHAPES[fault.kind]
        self._holds = fault.kind == "stuck"
        self._decouples = fault.kind == "lost_correlation"
        self._before: Floats | None = None
        self._added: Floats | None = None

    def apply(self, first: int, block: Block, codes: NDArray[np.int8]) -> None:
        """Change the block that starts at slot `first`, and the `codes` (n,) of its rows."""
        low, high = max(self._first, first), min(self._last, first + len(block.values))
        if self._holds:
            self._remember(first, block.values)
        if low < high:
            rows = slice(low - first, high - first)
            change = self._change(low, high, block, rows)
            block.values[rows, self._subject.columns] += change
            codes[rows][change.any(axis=1)] = self._code
        if high == self._last:
            self._added = None

    def _remember(self, first: int, values: Floats) -> None:
        """Keep the last value before the fault; at the very start of a stream, the first."""
        row = min(self._first - 1 - first, len(values) - 1)
        if row >= 0 or self._before is None:
            self._before = values[max(row, 0), self._subject.columns].copy()

    def _change(self, low: int, high: int, block: Block, rows: slice) -> Floats:
        """Return what the fault adds in slots `low` to `high`: (high - low, k)."""
        columns = self._subject.columns
        if self._holds:
            assert self._before is not None
            return self._before - block.values[rows, columns]
        if self._added is None:
            self._added = self._shape(self._subject)
        change = self._added[low - self._first : high - self._first]
        return change - block.shared[rows, columns] if self._decouples else change
