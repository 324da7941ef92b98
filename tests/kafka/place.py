"""Topics and a group of a test's own, with the clients of a worker in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, NoOffsetForPartitionError
from kafka.structs import OffsetAndMetadata

from stream_ad.config import KafkaConfig, TopicsConfig
from stream_ad.transport.kafka import clients
from stream_ad.transport.kafka.delivery import ExactlyOnce
from stream_ad.transport.kafka.ledger import Mark
from stream_ad.transport.kafka.outgoing import Message
from tests.kafka.clients import committed

FLUSH_S = 5.0
SESSION_S = 3.0
LEAST = str(2 * clients.BATCH_BYTES)  # max.message.bytes below which no worker starts


@dataclass
class Place:
    """Topics and a group of a test's own, and clients that are closed at its end."""

    config: KafkaConfig
    producers: list[KafkaProducer] = field(default_factory=list)
    consumers: list[KafkaConsumer] = field(default_factory=list)

    @property
    def input(self) -> TopicPartition:
        return TopicPartition(str(self.config.topics.input), 0)

    @property
    def out(self) -> str:
        return self.config.topics.alerts

    def producer(self, slot: int = 0) -> KafkaProducer:
        self.producers.append(clients.transactional_producer(self.config, slot))
        return self.producers[-1]

    def exactly_once(self, slot: int = 0) -> ExactlyOnce:
        return ExactlyOnce(lambda: self.producer(slot), FLUSH_S)

    def member(self, slot: int = 0) -> KafkaConsumer:
        """Return a member that holds the input."""
        consumer = clients.group_consumer(self.config, slot)
        self.consumers.append(consumer)
        consumer.subscribe([self.input.topic])
        while not consumer.assignment():
            with suppress(NoOffsetForPartitionError):
                consumer.poll(timeout_ms=500)
        return consumer

    def offsets(self, offset: int) -> dict[TopicPartition, OffsetAndMetadata]:
        return {self.input: OffsetAndMetadata(offset, Mark(offset - 1, 1).text(), -1)}

    def saved(self) -> int | None:
        """Return the committed offset as anybody may read it."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.config.bootstrap_servers,
            group_id=self.config.group_id,
            enable_auto_commit=False,
        )
        self.consumers.append(consumer)
        found: int | None = consumer.committed(self.input)
        return found

    def told(self) -> list[bytes]:
        return committed(self.config.bootstrap_servers[0], self.out)

    def messages(self, *values: bytes) -> list[Message]:
        return [Message(self.out, None, value, []) for value in values]

    def close(self) -> None:
        for consumer in self.consumers:
            consumer.close(timeout_ms=1000)
        for producer in self.producers:
            with suppress(KafkaError):
                producer.close(timeout=0)


@contextmanager
def placed(
    bootstrap: str,
    create_topic: Callable[..., str],
    group: str,
    *,
    partitions: int = 1,
    transaction_s: float = 2,
) -> Iterator[Place]:
    """Make topics for workers of a group; close all clients at the end."""
    config = KafkaConfig(
        bootstrap_servers=(bootstrap,),
        group_id=group,
        session_timeout_s=SESSION_S,
        transaction_timeout_s=transaction_s,
        topics=TopicsConfig(
            input=create_topic("input", partitions),
            alerts=create_topic("alerts"),
            scores=create_topic("scores"),
            dead_letter=create_topic("dead", max_message_bytes=LEAST),
            state=create_topic(
                "state", partitions, cleanup_policy="compact", max_message_bytes=LEAST
            ),
        ),
    )
    place = Place(config)
    try:
        yield place
    finally:
        place.close()
