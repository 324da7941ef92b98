"""What operators say, on the labels topic: labels of incidents, and requests to train now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from stream_ad.config import KafkaConfig
from stream_ad.errors import InputError
from stream_ad.records import LabelRecord
from stream_ad.transport.kafka.following import Follower
from stream_ad.transport.kafka.outgoing import Message
from stream_ad.transport.kafka.saying import say
from stream_ad.transport.label_records import parse_label

PARTITION = 0  # of one: what is said of an incident has an order
REQUEST = b"train/"  # begins the keys of requests; those of labels are hexadecimal


class TrainRequest(BaseModel):
    """A person's wish that a machine group's detector is trained anew; key: ``train/GROUP``.

    Examples
    --------
    >>> TrainRequest(machine_group="default", who="anna").model_dump_json()
    '{"machine_group":"default","who":"anna"}'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine_group: str
    who: str


Said = LabelRecord | TrainRequest


def write_label(config: KafkaConfig, label: LabelRecord) -> None:
    """Write a label; returns when all replicas have it. A later one of the incident replaces it.

    Raises
    ------
    BrokerError
        There is no such topic, it may not be written, or the brokers do not answer.
    """
    _write(config, label.incident_id.encode(), label, f"labelling incident {label.incident_id}")


def write_request(config: KafkaConfig, request: TrainRequest) -> None:
    """Write a request to train; raises as `write_label`.

    A trainer that has lost all it knew acts upon the last one once more.
    """
    key = REQUEST + request.machine_group.encode()
    _write(config, key, request, f"asking for a training of {request.machine_group}")


class Labels:
    """Follows what operators say.

    Parameters
    ----------
    follower : Follower
        Of the labels topic.
    say : callable, optional
        Told of records that say nothing that is understood: they are passed over.
    """

    def __init__(self, follower: Follower, say: Callable[[str], object] = lambda _: None) -> None:
        self.follower, self._say = follower, say

    def read(self, ends: Mapping[int, int]) -> Iterator[tuple[int, Said]]:
        """Yield offset and content of what is said before these offsets, in order.

        Raises
        ------
        Undelivered, BrokerError, KafkaError
            As `Follower.read`.
        """
        for found in self.follower.read(ends):
            for row in (row for rows in found.values() for row in rows):
                said = self._understood(row)
                if said is not None:
                    yield row.offset, said

    def _understood(self, row: Any) -> Said | None:
        if row.value is None:  # compaction may forget it; what was learned from it stays
            return None
        try:
            if (row.key or b"").startswith(REQUEST):
                return TrainRequest.model_validate_json(row.value)
            return parse_label(row.value)
        except (ValidationError, InputError) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            self._say(f"topic {row.topic}, offset {row.offset}: no label: {why}")
            return None


def _write(config: KafkaConfig, key: bytes, said: Said, doing: str) -> None:
    value = said.model_dump_json().encode()
    say(config, Message(config.topics.labels, key, value, [], PARTITION), doing)
