"""What the service on Kafka is held against: loops without states, line, alarms or guarantee."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from numpy.typing import NDArray

from stream_ad.config import KafkaConfig
from stream_ad.transport.kafka.clients import reader
from tests.benchmarks.bare import Bare
from tests.benchmarks.generated import Plant
from tests.benchmarks.kafka_load import Load

Decode = Callable[[list[Any]], NDArray[np.float32] | None]


def polled_per_s(config: KafkaConfig, load: Load) -> float:
    """Return records per second of a consumer that only polls."""
    return _rate(load, _polls(config, load), lambda _: None)


def scored_per_s(config: KafkaConfig, load: Load, plant: Plant, bare: Bare) -> float:
    """Return records per second of: poll, fastest decode, scale, forward pass, search."""
    decode: Decode = _windows if load.kind == "window" else Appender(plant)

    def work(records: list[Any]) -> None:
        values = decode(records)
        if values is not None:
            bare.scores(bare.scaler.scale(values))

    return _rate(load, _polls(config, load), work)


def _polls(config: KafkaConfig, load: Load) -> Iterator[list[Any]]:
    consumer = reader(config)
    try:
        partitions = [TopicPartition(load.topic, p) for p in range(load.partitions)]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        while True:
            found = consumer.poll(timeout_ms=500)
            if found:
                yield [record for rows in found.values() for record in rows]
    finally:
        consumer.close()


def _rate(load: Load, polls: Iterator[list[Any]], work: Callable[[list[Any]], None]) -> float:
    """Time from the end of the first poll's work to the end of the last one's."""
    done, since, counted = 0, 0.0, 0
    for records in polls:
        work(records)
        done += len(records)
        if not since:
            since, counted = time.perf_counter(), done
        if done >= load.records:
            break
    polls.close()  # type: ignore[attr-defined]
    return (done - counted) / (time.perf_counter() - since)


def _windows(records: list[Any]) -> NDArray[np.float32]:
    loads = orjson.loads
    return np.array([loads(record.value)["values"] for record in records], np.float32)


class Appender:
    """Appends readings to the window of their machine; hop = length, nothing missing."""

    def __init__(self, plant: Plant) -> None:
        self._names = [f"s{c}" for c in range(plant.sensors)]
        self._length = plant.length
        self._open: dict[str, list[list[float]]] = defaultdict(list)

    def __call__(self, records: list[Any]) -> NDArray[np.float32] | None:
        """Return the windows that became full."""
        loads, names, open_, length = orjson.loads, self._names, self._open, self._length
        full = []
        for record in records:
            tree = loads(record.value)
            values, machine = tree["values"], tree["machine_id"]
            rows = open_[machine]
            rows.append([values[name] for name in names])
            if len(rows) == length:
                full.append(rows)
                open_[machine] = []
        return np.array(full, np.float32) if full else None


def round_trips(
    bootstrap: str, source: str, target: str, key: bytes, values: list[bytes]
) -> list[float]:
    """Return seconds of: produce, consume, produce in a transaction, consume committed."""
    common = {"bootstrap_servers": bootstrap, "fetch_max_wait_ms": 100}
    first, last = (
        KafkaConsumer(**common, isolation_level="read_committed", enable_auto_commit=False)
        for _ in range(2)
    )
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=0)
    own = KafkaProducer(
        bootstrap_servers=bootstrap, transactional_id=target, linger_ms=0, retry_backoff_ms=10
    )
    own.init_transactions()
    for consumer, topic in ((first, source), (last, target)):
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek_to_end()
        consumer.position(TopicPartition(topic, 0))
    seconds = []
    for value in values:
        began = time.perf_counter()
        producer.send(source, value, key=key, partition=0)
        while not first.poll(timeout_ms=500):
            pass
        own.begin_transaction()
        own.send(target, value, key=key, partition=0)
        own.flush()
        own.commit_transaction()
        while not last.poll(timeout_ms=500):
            pass
        seconds.append(time.perf_counter() - began)
    for client in (first, last, producer, own):
        client.close()
    return seconds
