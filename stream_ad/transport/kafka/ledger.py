"""What a partition still owes: readings that are in no state record yet.

The committed offset is the oldest of them, so that a successor reads them again; machines
whose state record holds them already skip them there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import orjson

from stream_ad.config import KafkaConfig
from stream_ad.transport.base import Touched

MOST_OVERDUE = 1_000  # states in one commit besides those of closed windows; the others wait


@dataclass(frozen=True, slots=True)
class Mark:
    """What a commit says of a partition besides the offset; stored as its metadata.

    Parameters
    ----------
    through : int
        The last offset whose outputs are told: dead letters up to it are not told again.
    partitions : int
        How many the input had: when they have grown since, machines may have moved.

    Examples
    --------
    >>> Mark.read(Mark(41, 8).text())
    Mark(through=41, partitions=8)
    >>> Mark.read("from another program")
    Mark(through=-1, partitions=0)
    """

    through: int = -1
    partitions: int = 0

    def text(self) -> str:
        """Return the metadata: short, as brokers take 4096 characters at most."""
        return orjson.dumps({"through": self.through, "partitions": self.partitions}).decode()

    @classmethod
    def read(cls, text: str | None) -> Mark:
        """Read the metadata of a commit; one of another program says nothing."""
        try:
            tree = orjson.loads(text or "")
            return cls(int(tree["through"]), int(tree["partitions"]))
        except (ValueError, KeyError, TypeError):
            return cls()


@dataclass(frozen=True, slots=True)
class _Unsaved:
    first: int
    since: float


class Ledger:
    """Which machines of one partition have unsaved readings, and since when.

    Parameters
    ----------
    config : KafkaConfig
        ``checkpoint_s`` and ``checkpoint_records`` bound how long they stay so.

    Examples
    --------
    >>> ledger = Ledger(KafkaConfig(checkpoint_s=10))
    >>> ledger.due({"a": Touched(5, closed=False), "b": Touched(7, closed=True)}, 9, now=0.0)
    ['b']
    >>> ledger.committed(9)
    5
    >>> ledger.due({}, 9, now=10.0), ledger.committed(9)
    (['a'], 9)
    """

    def __init__(self, config: KafkaConfig) -> None:
        self._most_s, self._most_records = config.checkpoint_s, config.checkpoint_records
        self._unsaved: dict[str, _Unsaved] = {}  # ascending in `first`

    def due(self, touched: Mapping[str, Touched], position: int, now: float) -> list[str]:
        """Take in a batch; return the machines whose states have to go with it.

        Parameters
        ----------
        touched : mapping of str to Touched
            Machines that had records in the batch, ascending in ``first``.
        position : int
            The partition's position after it.
        now : float
            Seconds of any clock that never goes back.

        Returns
        -------
        list of str
            They count as saved from here on: whoever cannot save them starts anew from what
            was committed.
        """
        for machine, touch in touched.items():
            if not touch.closed and machine not in self._unsaved:
                self._unsaved[machine] = _Unsaved(touch.first, now)
        due = [machine for machine, touch in touched.items() if touch.closed]
        for machine in due:
            self._unsaved.pop(machine, None)
        overdue = []
        for machine, unsaved in islice(self._unsaved.items(), MOST_OVERDUE):
            if now - unsaved.since < self._most_s and position - unsaved.first < self._most_records:
                break  # the others came later
            overdue.append(machine)
        for machine in overdue:
            del self._unsaved[machine]
        return due + overdue

    def committed(self, position: int) -> int:
        """Return the offset to commit: of the oldest unsaved reading, else the position."""
        oldest = next(iter(self._unsaved.values()), None)
        return position if oldest is None else oldest.first

    def is_due(self, now: float) -> bool:
        """Return whether a state is due though nothing has come."""
        oldest = next(iter(self._unsaved.values()), None)
        return oldest is not None and now - oldest.since >= self._most_s
