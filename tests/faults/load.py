"""What is sent to the input topic: good readings with bad records among them, seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.faults.hostile import Hostile, far_ahead
from tests.faults.plant import Plant

SETTLED = 3  # a machine's first readings wait for each other: a jump among them is not isolated


@dataclass(frozen=True, slots=True)
class Record:
    """One message of the input.

    Parameters
    ----------
    key : bytes
        Chooses the partition: the machine's name.
    value : bytes or None
    cause : str or None
        The error class that its dead letter must name; None for a record that can be used.
    jump : bool
        Whether its time lies far ahead of everything, so that it waits and is dropped.
    """

    key: bytes
    value: bytes | None
    cause: str | None = None
    jump: bool = False


@dataclass(frozen=True)
class Load:
    """All records in their order."""

    records: Sequence[Record]

    @property
    def good(self) -> list[Record]:
        """The records that are scored as if the others were not there."""
        return [r for r in self.records if r.cause is None and not r.jump]

    @property
    def bad(self) -> int:
        """How many have to become dead letters."""
        return sum(record.cause is not None for record in self.records)

    @property
    def jumps(self) -> int:
        """How many lie far ahead."""
        return sum(record.jump for record in self.records)


def make(plant: Plant, kinds: Sequence[Hostile], share: float, jump_share: float = 0.0) -> Load:
    """Mix hostile records of all kinds in turn into the readings of a plant.

    Each spoils a copy of the reading after it and has its key, so that it lands in the midst
    of that machine's stream.

    Parameters
    ----------
    plant : Plant
    kinds : sequence of Hostile
    share : float
        Of hostile records among all.
    jump_share : float
        Of readings that are preceded by one far ahead; two of one machine never follow each
        other, so none confirms another.
    """
    rng = np.random.default_rng([plant.seed, 1])
    before = share / (1 - share)  # hostile ones for each good one
    records: list[Record] = []
    seen: dict[bytes, int] = {}
    hostile = 0
    for machine, value in plant.readings():
        key = machine.encode()
        draw = rng.random(2)
        if draw[0] < before:
            kind = kinds[hostile % len(kinds)]
            records.append(Record(key, kind.spoil(value), kind.cause))
            hostile += 1
        if draw[1] < jump_share and seen.get(key, 0) >= SETTLED:
            records.append(Record(key, far_ahead(value), jump=True))
        records.append(Record(key, value))
        seen[key] = seen.get(key, 0) + 1
    return Load(records)
