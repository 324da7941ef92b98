"""Machines that are built alike and do not read alike, put on the scale of their group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_ad.detector.scaling import Scaler

MOST = 100.0  # times a machine is magnified or shrunk: one that hardly moved says little
# windows, and share of those of the middle machine, fewer of which say too little about a machine
LEAST, SHARE = 20, 0.5

V = TypeVar("V", np.float32, np.float64)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MachineScales:
    """How to get from each machine's scale to the group's: ``gain * value + shift`` per sensor.

    Centre and spread of a machine are those of its own history, as `Scaler` takes them; the
    group's are those of its middle machine, for each sensor by itself. Where a
    sensor of it stood still only the centre is moved, where it had no value nothing is. A machine
    that is not known, or has fewer than 20 windows or half as many as the middle machine, stays
    as it is: a few days are no measure of what comes in a month.

    Works badly for machines that the history does not know, the more the machines differ: they
    stand apart from all others then (`docs/benchmarks/choices.md` has figures); and where the
    level of a machine is what is wrong with it from its first day.

    Parameters
    ----------
    machines : object array (M,)
        Ascending.
    gain, shift : float64 array (M, C)

    Examples
    --------
    >>> a = np.arange(30, dtype=np.float32)
    >>> values = np.concatenate([a, 100 + 10 * a])[:, None, None]
    >>> machine = np.array(["a"] * 30 + ["b"] * 30, object)
    >>> scales = MachineScales.fit(values, machine)
    >>> there = scales.to_group(values, machine)
    >>> bool(np.allclose(there[:30], there[30:]))
    True
    >>> bool(np.allclose(scales.from_group(there.astype(np.float64), machine), values))
    True
    """

    machines: NDArray[np.object_]
    gain: Floats
    shift: Floats

    @classmethod
    def fit(cls, values: NDArray[np.float32], machine: NDArray[np.object_]) -> MachineScales:
        """Learn from windows (n, T, C) of machines (n,), n at least 1."""
        names, code, count = np.unique(machine.astype(str), return_inverse=True, return_counts=True)
        known = np.flatnonzero(count >= max(LEAST, SHARE * np.median(count)))
        if not len(known):
            nothing = np.empty((0, values.shape[2]))
            return cls(np.empty(0, object), nothing, nothing)
        own = [Scaler.fit(values[code == m]) for m in known]
        centre, spread, lowest, highest = (
            np.array([getattr(scaler, part) for scaler in own], np.float64)
            for part in ("centre", "spread", "lowest", "highest")
        )
        there, still = ~np.isnan(centre), lowest == highest
        moving = np.where(still, np.nan, spread)
        gain = np.clip(_middle(moving) / moving, 1 / MOST, MOST)
        gain = np.where(there & ~still, gain, 1.0)
        shift = np.where(there, _middle(centre) - gain * centre, 0.0)
        return cls(names[known].astype(object), gain, shift)

    def to_group(
        self, values: NDArray[np.float32], machine: NDArray[np.object_]
    ) -> NDArray[np.float32]:
        """Return windows (n, T, C) of machines (n,) on the group's scale."""
        gain, shift = self._of(machine)
        with np.errstate(over="ignore"):
            moved = values * gain[:, None] + shift[:, None]
            return np.asarray(moved, np.float32)

    def from_group(self, values: Floats, machine: NDArray[np.object_]) -> Floats:
        """Return what stands on the group's scale, (n, T, C) or (n, C), on the machines' own."""
        gain, shift = self._of(machine)
        if values.ndim > gain.ndim:
            gain, shift = gain[:, None], shift[:, None]
        return np.asarray((values - shift) / gain, np.float64)

    def _of(self, machine: NDArray[np.object_]) -> tuple[Floats, Floats]:
        """Return gain and shift (n, C) of machines (n,)."""
        place = {name: m for m, name in enumerate(self.machines.tolist())}
        code = np.array([place.get(name, -1) for name in machine.tolist()], np.int64)
        gain = np.pad(self.gain, [(0, 1), (0, 0)], constant_values=1.0)
        shift = np.pad(self.shift, [(0, 1), (0, 0)])
        return gain[code], shift[code]


def _middle(of: Floats) -> Floats:
    """Return the median of machines (M, C) per sensor, NaN where none has a value."""
    seen = ~np.isnan(of).all(axis=0)
    middle = np.full(of.shape[1], np.nan)
    middle[seen] = np.nanmedian(of[:, seen], axis=0)
    return middle
