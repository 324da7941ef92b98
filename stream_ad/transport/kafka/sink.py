"""The sink on Kafka: outputs, states and positions of a batch as one delivery."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from stream_ad.config import KafkaConfig
from stream_ad.errors import BrokerError
from stream_ad.records import ActivationRecord
from stream_ad.transport.base import Held, Outputs
from stream_ad.transport.kafka.delivery import Delivery, TooLarge
from stream_ad.transport.kafka.ledger import Ledger, Mark
from stream_ad.transport.kafka.outgoing import Message, Outgoing, cut


class KafkaSink:
    """Commits what the pipeline made, for the partitions taken over.

    Parameters
    ----------
    config : KafkaConfig
    delivery : Delivery
        The guarantee.
    clock : callable
        Seconds; only for the distance of checkpoints.

    Attributes
    ----------
    member : ConsumerGroupMetadata
        As it stood when the records of the next commit came.
    """

    def __init__(
        self,
        config: KafkaConfig,
        delivery: Delivery,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._delivery, self._clock = config, delivery, clock
        self._outgoing = Outgoing(config)
        self._ledgers: dict[int, Ledger] = {}
        self._marks: dict[int, Mark] = {}
        self._cut = False
        self.member: Any = None

    def take_over(self, partition: int, mark: Mark) -> None:
        """Go on with a partition where ``mark`` says."""
        self._ledgers[partition], self._marks[partition] = Ledger(self._config), mark

    def release(self, partition: int) -> None:
        """Forget a partition."""
        self._ledgers.pop(partition, None)
        self._marks.pop(partition, None)

    def missing(self, partitions: Collection[int]) -> set[int]:
        """Return those partitions whose states could not be written, or not yet."""
        return set(partitions) - self._delivery.partitions(self._config.topics.state)

    def mark(self, partition: int) -> Mark:
        """Return what was last committed of a partition."""
        return self._marks[partition]

    def say(self, partition: int, mark: Mark) -> None:
        """Say with the next commit how far outputs are told and how many partitions there are."""
        self._marks[partition] = mark

    def is_due(self) -> bool:
        """Return whether a state has to be saved though nothing has come."""
        now = self._clock()
        return any(ledger.is_due(now) for ledger in self._ledgers.values())

    def commit(
        self,
        outputs: Outputs,
        held: Mapping[int, Held],
        activations: Mapping[int, Sequence[ActivationRecord]] = MappingProxyType({}),
    ) -> None:
        """Keep outputs, due states and the positions of all partitions as one step.

        Parameters
        ----------
        outputs, held
            See `Sink.commit`.
        activations : mapping of int to sequence of ActivationRecord
            By partition: what counts there from this batch on.

        Raises
        ------
        Undelivered
            Everything in memory of the partitions has to be read again.
        BrokerError, KafkaError
            See `Delivery.deliver`.
        """
        now = self._clock()
        states = [
            self._outgoing.activation(record, partition)
            for partition, records in activations.items()
            for record in records
        ]
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        for partition, machines in held.items():
            ledger = self._ledgers[partition]
            for machine in ledger.due(machines.touched, machines.position, now):
                record = machines.records.get(machine)
                states.append(self._outgoing.state(machine, record, partition))
            tp = TopicPartition(self._config.topics.input, partition)
            offset = ledger.committed(machines.position)
            offsets[tp] = OffsetAndMetadata(offset, self._marks[partition].text(), -1)
        try:
            self._delivery.deliver(self._messages(outputs), states, offsets, self.member)
        except TooLarge as error:
            self._cut_or_give_up(error)
            raise

    def _messages(self, outputs: Outputs) -> list[Message]:
        made: Iterable[Message] = self._outgoing.messages(outputs)
        if self._cut:
            letters = self._config.topics.dead_letter
            made = (cut(message) if message.topic == letters else message for message in made)
        return list(made)

    def _cut_or_give_up(self, error: TooLarge) -> None:
        if error.topic != self._config.topics.dead_letter or self._cut:
            raise BrokerError(f"{error}: `stream-ad topics check` says what it needs") from error
        self._cut = True  # from now on: a topic that takes one large letter less takes none
