"""Activations: from which input offset of a partition on a promotion counts there.

They lie in the state topic beside the machines' states, in the partition of their own number,
and say of one promotion that it, and all before it, count for the records from that offset on.
They are never deleted: a replay of the topic follows them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import orjson

from stream_ad.records import ActivationRecord

if TYPE_CHECKING:
    from stream_ad.versions import Version

MARK = b"\xff"  # no byte of UTF-8: no machine's key begins so, whatever the machine is called


def key_of(record: ActivationRecord) -> bytes:
    r"""Return the key of an activation in the state topic.

    Examples
    --------
    >>> key_of(ActivationRecord(machine_group="default", promotion=2, model_version=1,
    ...     first_offset=40))
    b'\xff["activation","default",40]'
    """
    return MARK + orjson.dumps(["activation", record.machine_group, record.first_offset])


def is_activation(key: bytes) -> bool:
    """Return whether a record of the state topic is an activation and no machine's state.

    Examples
    --------
    >>> is_activation('["activation","default",40]'.encode())
    False
    """
    return key.startswith(MARK)


def last(records: Iterable[ActivationRecord]) -> dict[str, int]:
    """Return the promotion of each group that was written last.

    Numbers only grow within a registry; whoever gives a partition another one begins at 1.
    """
    return {record.machine_group: record.promotion for record in records}


class Recorded:
    """Which promotion of each group was last written down as counting, by partition.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> recorded = Recorded()
    >>> recorded.take_over(0, {"default": 1})
    >>> version = SimpleNamespace(model_id="default", number=3, promotion=2)
    >>> [record.promotion for record in recorded.next(0, [version], first_offset=40)]
    [2]
    >>> recorded.next(0, [version], first_offset=50)
    []
    """

    def __init__(self) -> None:
        self._promotions: dict[int, dict[str, int]] = {}

    def take_over(self, partition: int, promotions: Mapping[str, int]) -> None:
        """Go on with a partition whose records say this of each group."""
        self._promotions[partition] = dict(promotions)

    def release(self, partition: int) -> None:
        """Forget a partition."""
        self._promotions.pop(partition, None)

    def next(
        self, partition: int, newest: Iterable[Version], first_offset: int
    ) -> list[ActivationRecord]:
        """Return what is new and has to be written when versions count from an offset on.

        Parameters
        ----------
        partition : int
        newest : iterable of Version
            The last promoted one of each group.
        first_offset : int
        """
        told = self._promotions[partition]
        new = [one for one in newest if one.promotion > told.get(one.model_id, 0)]
        told |= {one.model_id: one.promotion for one in new}
        return [
            ActivationRecord(
                machine_group=one.model_id,
                promotion=one.promotion,
                model_version=one.number,
                first_offset=first_offset,
            )
            for one in new
        ]


class Course:
    """Which promotion counted where in one partition, read back from its activations.

    Parameters
    ----------
    activations : iterable of (int, int)
        First offset and promotion, of one partition and group, in the order of their topic.

    Attributes
    ----------
    starts : list of int
        Offsets at which another promotion begins to count.

    Notes
    -----
    Offsets only grow while the input is the same topic. Where one is not beyond those before it,
    the input was made anew, and they are of one that is no more.

    Before the first activation counts what it says: that is what a worker begins with.

    Examples
    --------
    >>> course = Course([(90, 1), (200, 2), (10, 3), (30, 4)])
    >>> [course.at(offset) for offset in (0, 10, 29, 30, 500)], course.starts
    ([3, 3, 3, 4, 4], [10, 30])
    """

    def __init__(self, activations: Iterable[Sequence[int]] = ()) -> None:
        self.starts: list[int] = []
        self._promotions: list[int] = []
        for first_offset, promotion in activations:
            while self.starts and self.starts[-1] >= first_offset:
                self.starts.pop()
                self._promotions.pop()
            self.starts.append(first_offset)
            self._promotions.append(promotion)

    def at(self, offset: int) -> int | None:
        """Return the newest promotion that counts for the record at an offset; None if unknown."""
        place = bisect_right(self.starts, offset) - 1
        return self._promotions[max(0, place)] if self._promotions else None

    def between(self, start: int, end: int) -> set[int]:
        """Return the promotions that count for records from one offset to before another."""
        if start >= end or not self._promotions:
            return set()
        places = slice(max(0, bisect_right(self.starts, start) - 1), bisect_left(self.starts, end))
        return {*self._promotions[places]} or {self._promotions[0]}
