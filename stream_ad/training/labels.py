"""What operators said of incidents: what of it counts, and what is learned of it already."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_ad.records import LabelRecord
from stream_ad.training.buffer import Buffer
from stream_ad.windows import Windows
from stream_ad.windows.spec import NEVER, NS, parse_rfc3339

ENOUGH = 20  # windows of a new normal, before it is learned
AGAIN_NS = 6 * 3_600 * NS  # a new normal that could not be learned yet is tried again after so long


class Labels:
    """The labels of a machine group, each of which counts from its own time on.

    Parameters
    ----------
    record : dict
        What is known of them, as JSON values, changed in place: ``heard``, what counts;
        ``confirmed``, the new normals that a version has learned; ``again`` and ``in_vain``, when
        the others are tried once more, and which were; ``forgotten``, as of `forget`.
    """

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        record.setdefault("heard", [])
        record.setdefault("confirmed", [])
        self._all: dict[str, LabelRecord] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, labels: Iterable[LabelRecord]) -> None:
        """Take in labels; the last one of an incident stands."""
        for label in labels:
            self._all[label.incident_id] = label

    def hear(self, newest: int) -> list[LabelRecord]:
        """Return those that count from now on.

        Parameters
        ----------
        newest : int
            The newest event time in ns.
        """
        first = self.record.get("forgotten", {})
        for label in [one for one in self._all.values() if one.machine_id in first]:
            if parse_rfc3339(label.labelled_at) < first[label.machine_id]:
                del self._all[label.incident_id]
        heard = {tuple(one) for one in self.record["heard"]}
        fresh = []
        for label in self._all.values():
            key = (
                *(label.incident_id, label.label, label.new_normal),
                *(label.labelled_at, label.machine_id),
            )
            if key in heard or parse_rfc3339(label.labelled_at) > newest:
                continue
            others = (one for one in self.record["heard"] if one[0] != label.incident_id)
            self.record["heard"] = [*others, [*key]]
            fresh.append(label)
        if fresh:
            self.record.pop("again", None)
        return fresh

    def waiting(self) -> list[LabelRecord]:
        """Return those that say new normal, count already and are not learned yet."""
        heard = {one[0] for one in self.record["heard"] if one[2] != "no"}
        return [
            self._all[name]
            for name in sorted(heard - set(self.record["confirmed"]))
            if name in self._all
        ]

    def ready(self, newest: int, buffer: Buffer, tried: Container[str] = ()) -> list[LabelRecord]:
        """Return those of them that there are windows to learn from, but for those tried."""
        return [
            label
            for label in self.waiting()
            if label.incident_id not in tried
            and buffer.normal_since(
                None if label.new_normal == "group" else label.machine_id,
                parse_rfc3339(label.started_at),
                newest,
            )
            >= ENOUGH
        ]

    def due(self, newest: int, buffer: Buffer) -> int:
        """Return how many new normals are worth a try: once, and again after six hours."""
        in_vain = newest < self.record.get("again", newest) and self.record.get("in_vain")
        tried = {*(in_vain or ())}
        fresh = {label.incident_id for label in self.ready(newest, buffer, tried)}
        if fresh:
            self.record |= {"again": newest + AGAIN_NS, "in_vain": sorted(tried | fresh)}
        return len(fresh)

    def confirm(self, learned: Iterable[LabelRecord]) -> None:
        """Note the new normals that a version has learned."""
        self.record["confirmed"] += [label.incident_id for label in learned]
        self.record.pop("again", None)

    def rare(self, windows: Windows, y: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return labels (n,) without those of a new normal: that is what there will be most of.

        What somebody called normal otherwise is rare, and is held against its like.
        """
        changed, rare = np.zeros(len(windows), bool), np.zeros(len(windows), bool)
        for one in self._all.values():
            inside = windows.start >= parse_rfc3339(one.started_at)
            if one.new_normal != "group":
                inside &= windows.machine == one.machine_id
            if one.new_normal != "no":
                changed |= inside
            elif one.label == "normal":
                end = NEVER if one.ended_at is None else parse_rfc3339(one.ended_at)
                rare |= inside & (windows.start < end)
        return np.where((y > 0) & changed & ~rare, 0, y)


def forget(record: dict[str, Any], first: Mapping[str, int]) -> None:
    """Drop labels from before the first window of their machine that is still held.

    They teach nothing, and are passed over if they come again.

    Parameters
    ----------
    record : dict
        As of `Labels`.
    first : mapping of str to int
        Machine to start in ns.
    """
    record["forgotten"] = first = record.get("forgotten", {}) | dict(first)
    record["heard"] = [
        one
        for one in record.get("heard", ())
        if one[4] not in first or parse_rfc3339(one[3]) >= first[one[4]]
    ]
    names = {one[0] for one in record["heard"]}
    record["confirmed"] = [name for name in record.get("confirmed", ()) if name in names]
