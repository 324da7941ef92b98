"""What the service on Kafka is held against: loops without states, line, alarms or guarantee."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from numpy.typing import NDArray

from stream_ad.config import Config, KafkaConfig
from stream_ad.transport.decode import Decoder
from stream_ad.transport.kafka.clients import reader
from stream_ad.windows import WindowSpec
from tests.benchmarks.bare import Bare
from tests.benchmarks.generated import Plant
from tests.benchmarks.kafka_load import Load

Decode = Callable[[list[Any]], NDArray[np.float32] | None]


def polled_per_s(config: KafkaConfig, load: Load) -> float:
    """Return records per second of a consumer that only polls."""
    return _rate(load, _polls(config, load), lambda _: None)


def scored_per_s(config: Config, load: Load, plant: Plant, bare: Bare) -> float:
    """Return records per second of: poll, fastest decode, scale, forward pass, search."""
    decode: Decode = Appender(plant)
    if load.kind == "window":
        polls = _polls(config.kafka, load)
        decoders = window_decoders(config)
        decode = decoders[fastest(decoders, next(polls))]
        polls.close()

    def work(records: list[Any]) -> None:
        values = decode(records)
        if values is not None:
            bare.scores(bare.scaler.scale(values))

    return _rate(load, _polls(config.kafka, load), work)


def _polls(config: KafkaConfig, load: Load) -> Generator[list[Any], None, None]:
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


def _rate(
    load: Load, polls: Generator[list[Any], None, None], work: Callable[[list[Any]], None]
) -> float:
    """Time from the end of the first poll's work to the end of the last one's."""
    done, since, counted = 0, 0.0, 0
    for records in polls:
        work(records)
        done += len(records)
        if not since:
            since, counted = time.perf_counter(), done
        if done >= load.records:
            break
    polls.close()
    return (done - counted) / (time.perf_counter() - since)


def _by_array(records: list[Any]) -> NDArray[np.float32]:
    loads = orjson.loads
    return np.stack([np.array(loads(r.value)["values"], np.float32) for r in records])


def _by_number(records: list[Any]) -> NDArray[np.float32]:
    loads, flat = orjson.loads, chain.from_iterable
    first = np.array(loads(records[0].value)["values"])
    cells = np.empty((len(records), first.size))
    for row, record in enumerate(records):
        cells[row] = np.fromiter(flat(loads(record.value)["values"]), np.float64, first.size)
    return cells.astype(np.float32).reshape(-1, *first.shape)


def window_decoders(config: Config) -> dict[str, Decode]:
    """Return ways from window records to a float array, the product's own among them."""
    decoder = Decoder(config.input, config.limits, WindowSpec.from_config(config.windows))

    def by_product(records: list[Any]) -> NDArray[np.float32]:
        pairs = [(record.offset, record.value) for record in records]
        return decoder.decode(pairs).records.values

    return {"array": _by_array, "number": _by_number, "product": by_product}


def fastest(decoders: Mapping[str, Decode], records: list[Any]) -> str:
    """Return the name of the decoder that is the fastest on some records."""
    seconds = {}
    for name, decode in decoders.items():
        tries = []
        for _ in range(3):
            began = time.perf_counter()
            decode(records)
            tries.append(time.perf_counter() - began)
        seconds[name] = min(tries)
    return min(seconds, key=seconds.__getitem__)


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
                full.append(np.array(rows, np.float32))
                open_[machine] = []
        return np.stack(full) if full else None


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
