"""What tests write to Kafka and read from it, outside the program that they test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

FETCHED = 16 << 20  # bytes at once; larger records come all the same, one by one


def write(bootstrap: str, topic: str, values: Iterable[bytes]) -> None:
    """Write records without key and wait until each is acknowledged by all replicas."""
    with KafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        sent = [producer.send(topic, value) for value in values]
        producer.flush()
        for future in sent:
            future.get(timeout=10)


def records(bootstrap: str, topic: str, isolation: str = "read_committed") -> list[Any]:
    """Return the records of a topic, partition by partition, in order of offset."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level=isolation,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        max_partition_fetch_bytes=FETCHED,
    )
    try:
        numbers = sorted(consumer.partitions_for_topic(topic))
        partitions = [TopicPartition(topic, number) for number in numbers]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found: dict[TopicPartition, list[Any]] = {tp: [] for tp in partitions}
        # positions, not records: markers and aborted records are passed over unseen
        while any(consumer.position(tp) < ends[tp] for tp in partitions):
            for tp, rows in consumer.poll(200).items():
                found[tp] += rows
        return [row for tp in partitions for row in found[tp]]
    finally:
        consumer.close()


def committed(bootstrap: str, topic: str) -> list[bytes]:
    """Return the values of a topic, partition by partition, without aborted or open ones."""
    return [record.value for record in records(bootstrap, topic)]
