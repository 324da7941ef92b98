"""Streams into a Kafka topic, as fast as it takes them or at the speed of a clock."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from simulators.dialect import Dialect
from simulators.stream import Chunk
from simulators.writers import records_of

_WAIT_MS = 15_000


def write_topic(
    chunks: Iterable[Chunk],
    bootstrap: str,
    topic: str,
    dialect: Dialect,
    speed: float | None = None,
) -> int:
    """Send one JSON record per message, its key the machine id, and return their number.

    Parameters
    ----------
    chunks : iterable of Chunk
    bootstrap : str
        Addresses of brokers, `host:port`, with commas between several.
    topic : str
        Has to exist; a machine stays in one of its partitions.
    dialect : Dialect
        `record`, `zone`, `label` and `window_length` are used.
    speed : float, optional
        Seconds of the stream that pass in a second; as fast as possible when None.

    Raises
    ------
    ValueError
        Without the package kafka-python.
    ConnectionError
        When no broker answers, the topic does not exist, or records are refused.
    """
    try:
        from kafka import KafkaProducer
        from kafka.errors import KafkaError
    except ImportError:
        raise ValueError("--kafka needs kafka-python: pip install kafka-python") from None

    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what fails is told here, once
    failed: list[BaseException] = []
    records = records_of(chunks, dialect)
    count = 0
    try:
        with KafkaProducer(
            bootstrap_servers=bootstrap.split(","),
            acks="all",
            linger_ms=0 if speed else 20,
            bootstrap_timeout_ms=_WAIT_MS,
            max_block_ms=_WAIT_MS,
            allow_auto_create_topics=False,
        ) as producer:
            producer.partitions_for(topic)
            for record in records if speed is None else paced(records, speed):
                value = json.dumps(record, separators=(",", ":")).encode()
                sent = producer.send(topic, value, record["machine_id"].encode())
                sent.add_errback(failed.append)
                count += 1
                if failed:
                    break
            producer.flush()
    except KafkaError as error:
        failed.append(error)
    if failed:
        raise ConnectionError(f"{failed[0]} (is {bootstrap} up, and does the topic exist?)")
    return count


def paced(
    records: Iterable[dict[str, Any]],
    speed: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[dict[str, Any]]:
    """Yield records when their time has come; one that is late comes at once.

    Parameters
    ----------
    records : iterable of dict
        With `time` or `start` in RFC 3339, or naive.
    speed : float
        Seconds of the stream that pass in a second, > 0.
    clock, sleep : callable
        In seconds.

    Examples
    --------
    >>> naps = []
    >>> times = [{"time": f"2024-01-01T00:00:0{second}Z"} for second in (0, 4, 2)]
    >>> _ = list(paced(times, 2.0, clock=lambda: 0.0, sleep=naps.append))
    >>> naps
    [2.0, 1.0]
    """
    began, first = clock(), None
    for record in records:
        moment = datetime.fromisoformat(record.get("time") or record["start"])
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
        first = seconds if first is None else first
        wait = (seconds - first) / speed - (clock() - began)
        if wait > 0:
            sleep(wait)
        yield record
