"""A line of machines that is scored live: windows sent at a pace, scores read as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context
from multiprocessing.synchronize import Event

import numpy as np
import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from numpy.typing import NDArray

from stream_ad.windows.spec import parse_rfc3339
from tests.benchmarks.generated import SINCE, Plant
from tests.benchmarks.kafka_load import window

TURNS = 512  # windows of a machine that are sent again and again, with later times
BEAT_S = 0.01
START_S = 8.0  # a process takes its time to begin, and to make its records
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
        Seconds since its window was due to be sent.
    """

    at: list[float] = field(default_factory=list)
    delay: list[float] = field(default_factory=list)

    def delays(self, since: float, until: float) -> Floats:
        """Return the delays of what was seen in a time."""
        at = np.array(self.at)
        return np.array(self.delay)[(at >= since) & (at < until)]


class Line:
    """Sends windows of a plant to a topic at a pace, and reads what becomes of them.

    A process of its own sends, each window when it is due; delays count from there, so that a
    sender that falls behind does not hide them.

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
        self.seen = Seen()
        self._ended = threading.Event()
        self._failed: BaseException | None = None

    @contextmanager
    def running(self) -> Iterator[Line]:
        """Send and read until the block ends."""
        process = get_context("spawn")
        ended, began = process.Event(), time.monotonic() + START_S
        where = self._bootstrap, self._topic
        sender = process.Process(target=send, args=(*where, self._plant, self._per_s, began, ended))
        reader = threading.Thread(target=self._guard, args=[began])
        sender.start()
        reader.start()
        try:
            yield self
        finally:
            ended.set()
            self._ended.set()
            sender.join(60)
            reader.join(60)
        if self._failed is not None:
            raise self._failed
        if sender.exitcode != 0:
            raise RuntimeError(f"the sender ended with {sender.exitcode}")

    def _guard(self, began: float) -> None:
        try:
            self._read(began)
        except BaseException as error:
            self._failed = error

    def _read(self, began: float) -> None:
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap,
            isolation_level="read_committed",
            fetch_max_wait_ms=5,
        )
        partition = TopicPartition(self._scores, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        places = {name: place for place, name in enumerate(self._plant.names().tolist())}
        turn_ns, machines = self._plant.length * 10**9, self._plant.machines
        try:
            while not self._ended.is_set():
                records = consumer.poll(timeout_ms=POLL_MS, max_records=50_000).get(partition, [])
                now = time.monotonic()
                for record in records:
                    score = orjson.loads(record.value)
                    turn = (parse_rfc3339(score["window_start"]) - SINCE * 10**9) // turn_ns
                    number = turn * machines + places[score["machine_id"]]
                    self.seen.at.append(now)
                    self.seen.delay.append(now - began - number / self._per_s)
        finally:
            consumer.close()


def send(
    bootstrap: str, topic: str, plant: Plant, per_s: float, began: float, ended: Event
) -> None:
    """Send windows, machines in turn, window ``n`` at ``began + n / per_s``."""
    windows, sent = records(plant), 0
    with KafkaProducer(bootstrap_servers=bootstrap, linger_ms=2) as producer:
        while not ended.is_set():
            now = time.monotonic()
            while sent < (now - began) * per_s:
                key, value = next(windows)
                producer.send(topic, value, key=key)
                sent += 1
            time.sleep(max(0.0, BEAT_S - (time.monotonic() - now)))


def records(plant: Plant) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of window records without end; of the JSON only the time is new."""
    shape = (TURNS, plant.machines, plant.length, plant.sensors)
    values = plant.windows(TURNS, faults=False).values.reshape(shape)
    names = [f"s{c}" for c in range(plant.sensors)]
    ready = [
        [
            (machine.encode(), *window(machine, 0, names, cells).split(b'"start":0,'))
            for machine, cells in zip(plant.names(), turn, strict=True)
        ]
        for turn in values
    ]
    for turn in count():
        start = b'"start":%d,' % ((SINCE + turn * plant.length) * 1000)
        for key, head, tail in ready[turn % TURNS]:
            yield key, head + start + tail
