"""A line of machines that is scored live: windows sent at a pace, scores read as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from numpy.typing import NDArray

from stream_ad.windows.spec import parse_rfc3339
from tests.benchmarks.generated import SINCE, Plant
from tests.benchmarks.kafka_load import window

TURNS = 512  # windows of a machine that are sent again and again, with later times
BEAT_S = 0.01
POLL_MS = 100

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Seen:
    """When scores were seen, in monotonic seconds, ascending.

    Parameters
    ----------
    at : list of float
        Of each score.
    delay : list of float
        Seconds since its window was handed to the producer.
    version : list of int
        Which model version gave it.
    """

    at: list[float] = field(default_factory=list)
    delay: list[float] = field(default_factory=list)
    version: list[int] = field(default_factory=list)

    def delays(self, since: float, until: float) -> Floats:
        """Return the delays of what was seen in a time."""
        at = np.array(self.at)
        return np.array(self.delay)[(at >= since) & (at < until)]

    def commits(self) -> Floats:
        """Return when scores came, each time once: those of a transaction come together."""
        return np.unique(self.at)


class Line:
    """Sends windows of a plant to a topic at a pace, and reads what becomes of them.

    Parameters
    ----------
    bootstrap : str
    topic, scores : str
    plant : Plant
    per_s : float
        Windows a second, of all machines together.
    """

    def __init__(self, bootstrap: str, topic: str, scores: str, plant: Plant, per_s: float) -> None:
        self._bootstrap, self._topic, self._scores = bootstrap, topic, scores
        self._plant, self._per_s = plant, per_s
        self.seen, self.sent, self.late_s = Seen(), 0, 0.0
        self._sent_at: dict[tuple[str, int], float] = {}
        self._ended = threading.Event()
        self._failed: BaseException | None = None

    @contextmanager
    def running(self) -> Iterator[Line]:
        """Send and read until the block ends."""
        threads = [threading.Thread(target=self._guard, args=[w]) for w in (self._send, self._read)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            for thread in threads:
                thread.join(60)
        if self._failed is not None:
            raise self._failed

    def _guard(self, work: Any) -> None:
        try:
            work()
        except BaseException as error:
            self._failed = error

    def _send(self) -> None:
        windows = self._records()
        began = time.monotonic()
        with KafkaProducer(bootstrap_servers=self._bootstrap, linger_ms=2) as producer:
            while not self._ended.is_set():
                now = time.monotonic()
                due = int((now - began) * self._per_s)
                self.late_s = max(self.late_s, (due - self.sent) / self._per_s - BEAT_S)
                while self.sent < due:
                    machine, start, value = next(windows)
                    self._sent_at[machine, start] = time.monotonic()
                    producer.send(self._topic, value, key=machine.encode())
                    self.sent += 1
                self._ended.wait(max(0.0, BEAT_S - (time.monotonic() - now)))

    def _records(self) -> Iterator[tuple[str, int, bytes]]:
        plant = self._plant
        shape = (TURNS, plant.machines, plant.length, plant.sensors)
        values = plant.windows(TURNS, faults=False).values.reshape(shape)
        names, turn = [f"s{c}" for c in range(plant.sensors)], 0
        while True:
            start = (SINCE + turn * plant.length) * 10**9
            for machine, cells in zip(plant.names(), values[turn % TURNS], strict=True):
                yield machine, start, window(machine, start, names, cells)
            turn += 1

    def _read(self) -> None:
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap,
            isolation_level="read_committed",
            fetch_max_wait_ms=5,
        )
        partition = TopicPartition(self._scores, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        try:
            while not self._ended.is_set():
                records = consumer.poll(timeout_ms=POLL_MS, max_records=50_000).get(partition, [])
                now = time.monotonic()
                for record in records:
                    score = orjson.loads(record.value)
                    key = score["machine_id"], parse_rfc3339(score["window_start"])
                    self.seen.at.append(now)
                    self.seen.delay.append(now - self._sent_at.pop(key))
                    self.seen.version.append(score["model_version"])
        finally:
            consumer.close()
