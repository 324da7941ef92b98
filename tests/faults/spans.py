"""When incidents were open, by the clock of the run that told them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from kafka.partitioner.default import murmur2

from tests.faults.lives import Life, held, killed
from tests.faults.outcome import Outcome
from tests.faults.site import PARTITIONS


@dataclass(frozen=True, slots=True)
class Span:
    """One incident: its machine's partition, and when it opened and closed, since the epoch."""

    incident: str
    partition: int
    opened: float
    closed: float = float("inf")


def spans(outcome: Outcome) -> list[Span]:
    """Return the spans of all incidents that records made."""
    found: dict[str, Span] = {}
    for message, event in zip(outcome.alerts, outcome.incidents, strict=True):
        name, at = event["incident_id"], message.timestamp / 1000
        if event["kind"] == "silent":
            continue
        if event["event"] == "opened":
            found[name] = Span(name, partition_of(message.key), at)
        elif event["event"] == "closed" and name in found:
            began = found[name]
            found[name] = Span(name, began.partition, began.opened, at)
    return list(found.values())


def open_across(outcome: Outcome, lives: Collection[Life]) -> set[str]:
    """Return the incidents that were open in a worker when it was killed."""
    found = set()
    for life in killed(lives):
        assert life.wall is not None
        mine = held(lives, life)
        found |= {
            span.incident
            for span in spans(outcome)
            if span.partition in mine and span.opened < life.wall < span.closed
        }
    return found


def partition_of(key: bytes) -> int:
    """Return where a key lies in the input, by the partitioner that all clients share."""
    return int(murmur2(key) & 0x7FFFFFFF) % PARTITIONS
