"""What tests write to Kafka and read from it, outside the program that they test."""

from __future__ import annotations

from collections.abc import Iterable

from kafka import KafkaConsumer, KafkaProducer, TopicPartition


def write(bootstrap: str, topic: str, values: Iterable[bytes]) -> None:
    """Write records without key and wait until each is acknowledged by all replicas."""
    with KafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        sent = [producer.send(topic, value) for value in values]
        producer.flush()
        for future in sent:
            future.get(timeout=10)


def committed(bootstrap: str, topic: str) -> list[bytes]:
    """Return the values of a topic, partition by partition, without aborted or open ones."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
    )
    try:
        numbers = sorted(consumer.partitions_for_topic(topic))
        partitions = [TopicPartition(topic, number) for number in numbers]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found: dict[TopicPartition, list[bytes]] = {p: [] for p in partitions}
        while any(consumer.position(p) < ends[p] for p in partitions):
            for partition, records in consumer.poll(500).items():
                found[partition] += [record.value for record in records]
        return [value for partition in partitions for value in found[partition]]
    finally:
        consumer.close()
