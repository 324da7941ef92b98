"""Activations: from which input offset of a partition on a promotion counts there.

They lie in the state topic beside the machines' states, in the partition of their own number,
and say of one promotion that it, and all before it, count for the records from that offset on.
They are never deleted: a replay of the topic follows them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
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
    """Which promotions counted where in one partition, read back from its activations.

    Parameters
    ----------
    activations : iterable of (str, int, int)
        Group, first offset and promotion, of one partition, in the order of their topic.

    Attributes
    ----------
    starts : list of int
        Offsets at which another promotion begins to count.

    Notes
    -----
    Offsets only grow while the input is the same topic. Where one of a group is not beyond those
    before it, the input was made anew, and they are of one that is no more.

    Before the first activation counts what it says: that is what a worker begins with. From there
    on nothing counts of a group before its own first one.

    Examples
    --------
    >>> course = Course([("a", 90, 1), ("a", 200, 2), ("a", 10, 3), ("a", 30, 4), ("b", 20, 1)])
    >>> course.at(0), course.at(10), course.at(29), course.at(30)
    ({'a': 3}, {'a': 3}, {'a': 3, 'b': 1}, {'a': 4, 'b': 1})
    >>> course.starts
    [10, 20, 30]
    """

    def __init__(self, activations: Iterable[tuple[str, int, int]] = ()) -> None:
        groups: dict[str, dict[int, int]] = {}
        for group, first_offset, promotion in activations:
            known = groups.get(group, {})
            before = {start: number for start, number in known.items() if start < first_offset}
            groups[group] = before | {first_offset: promotion}
        self.starts = sorted({start for course in groups.values() for start in course})
        self._counting: list[dict[str, int]] = []
        counting: dict[str, int] = {}
        for start in self.starts:
            new = {group: course[start] for group, course in groups.items() if start in course}
            self._counting.append(counting := counting | new)

    def at(self, offset: int) -> dict[str, int] | None:
        """Return each group's newest promotion that counts at an offset; None if unknown."""
        place = bisect_right(self.starts, offset) - 1
        return self._counting[max(0, place)] if self.starts else None

    def between(self, start: int, end: int) -> dict[str, set[int]]:
        """Return the promotions of each group that count from one offset to before another."""
        found: dict[str, set[int]] = {}
        if start < end and self.starts:
            first = max(0, bisect_right(self.starts, start) - 1)
            for counting in self._counting[first : max(first + 1, bisect_left(self.starts, end))]:
                for group, promotion in counting.items():
                    found.setdefault(group, set()).add(promotion)
        return found

    def beyond(self, group: str, promotion: int) -> int | None:
        """Return from which offset on a later promotion of a group counts; None if none does."""
        counting = zip(self.starts, self._counting, strict=True)
        return next((start for start, now in counting if now.get(group, 0) > promotion), None)
