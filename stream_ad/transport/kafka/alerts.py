"""Incident events, read back from the alerts topic: followed, or searched for one incident."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from stream_ad.config import KafkaConfig
from stream_ad.errors import BrokerError
from stream_ad.records import IncidentEvent
from stream_ad.transport.kafka.clients import once, reader
from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.following import Follower, patience_s
from stream_ad.transport.kafka.membership import default_partition


class Alerts:
    """Incident events in the order of each machine.

    Parameters
    ----------
    follower : Follower
        Of the alerts topic.
    say : callable, optional
        Told of records that are no incident events: they are passed over.
    """

    def __init__(self, follower: Follower, say: Callable[[str], object] = lambda _: None) -> None:
        self.follower, self._say = follower, say

    def read(self, ends: Mapping[int, int]) -> Iterator[list[IncidentEvent]]:
        """Yield the events before these offsets, some at a time; raises as `Follower.read`."""
        for found in self.follower.read(ends):
            yield [*_events((row for rows in found.values() for row in rows), self._say)]


def find_incident(
    config: KafkaConfig, incident_id: str, machine: str | None = None
) -> list[IncidentEvent]:
    """Return what the alerts topic has of an incident, in order; an empty list where nothing.

    Parameters
    ----------
    config : KafkaConfig
    incident_id : str
    machine : str, optional
        Whose incident it is: then one partition is read. Without, the whole topic is.

    Raises
    ------
    BrokerError
        There is no such topic, or the brokers do not answer.
    """
    topic, doing = config.topics.alerts, f"looking for incident {incident_id}"
    sought, rows = incident_id.encode(), list[Any]()
    with once(lambda: reader(config), doing, config) as consumer:
        follower = Follower(consumer, topic, longest_s=patience_s(config))
        try:
            known = follower.partitions()
            wanted = known if machine is None else [default_partition(machine, len(known))]
            for found in follower.read(follower.ends(wanted)):
                # few name it: the others need not be understood
                rows += [
                    row for part in found.values() for row in part if sought in (row.value or b"")
                ]
        except Undelivered as error:
            raise BrokerError(f"{doing}: {error}") from error
    return [event for event in _events(rows) if event.incident_id == incident_id]


def _events(
    rows: Iterable[Any], say: Callable[[str], object] = lambda _: None
) -> Iterator[IncidentEvent]:
    for row in rows:
        try:
            yield IncidentEvent.model_validate_json(row.value or b"")
        except ValidationError as error:
            where = f"topic {row.topic}, partition {row.partition}, offset {row.offset}"
            say(f"{where}: no incident event: {error.errors()[0]['msg']}")
