"""A worker in a thread, on topics of a test's own, and what it leaves there."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.partitioner.default import murmur2

from stream_ad.config import Config, load_config
from stream_ad.service.shell import Shell
from stream_ad.service.worker import run_worker
from stream_ad.transport.kafka.activations import is_activation
from tests.cli import recordings
from tests.cli.recordings import MACHINES, SENSORS, Row
from tests.kafka.clients import records

PATIENCE_S = 30.0
ROWS = recordings.plant()
BEFORE_THE_FAULT = len(MACHINES) * 100
IN_THE_FAULT = len(MACHINES) * 252
Score = tuple[str, str, float]  # machine, end of window, score
Replayed = tuple[list[Score], list[dict[str, Any]]]


class Running:
    """A worker in a thread of its own."""

    def __init__(self, config: Config, slot: int = 0, *, reset_state: bool = False) -> None:
        self.shell = Shell.silent()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(config, slot, reset_state))
        self._thread.start()

    def _run(self, config: Config, slot: int, reset_state: bool) -> None:
        try:
            run_worker(config, slot, reset_state=reset_state, shell=self.shell)
        except BaseException as error:
            self.error = error

    def ended(self, within_s: float = PATIENCE_S) -> BaseException | None:
        """Wait for the end; return what it ended with."""
        self._thread.join(within_s)
        assert not self._thread.is_alive()
        return self.error

    def stop(self) -> None:
        """Stop it as SIGTERM would, and see it end well."""
        self.shell.stop()
        if (error := self.ended()) is not None:
            raise error


@dataclass
class Service:
    """Topics of a test's own, the settings that name them, and what comes out."""

    bootstrap: str
    topics: dict[str, str]
    settings: Path

    def config(self, **changes: Mapping[str, Any]) -> Config:
        """Return the settings, changed key by key, ``kafka={"delivery": ...}``."""
        tree = load_config(self.settings).model_dump(mode="json")
        for section, keys in changes.items():
            tree[section] |= keys
        return Config.model_validate(tree)

    @contextmanager
    def worker(
        self, *, reset_state: bool = False, **changes: Mapping[str, Any]
    ) -> Iterator[Running]:
        """Run a worker for as long as the block; it has to end well."""
        running = Running(self.config(**changes), reset_state=reset_state)
        try:
            yield running
        except BaseException:
            running.shell.stop()
            running.ended()
            raise
        running.stop()

    def produce(self, rows: Sequence[Row | bytes]) -> None:
        """Write readings of the plant, or bytes as they are."""
        with KafkaProducer(bootstrap_servers=self.bootstrap, max_request_size=8 << 20) as producer:
            for row in rows:
                key, value = (None, row) if isinstance(row, bytes) else message(row)
                producer.send(self.topics["input"], value, key=key)
            producer.flush()

    def read(self, kind: str, isolation: str = "read_committed") -> list[Any]:
        """Return the records of a topic, partition by partition."""
        return records(self.bootstrap, self.topics[kind], isolation)

    def scores(self) -> list[Score]:
        """Return all scores, in order of machine and window."""
        rows = [orjson.loads(record.value) for record in self.read("scores")]
        return sorted((row["machine_id"], row["window_end"], row["score"]) for row in rows)

    def alerts(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return all incident events."""
        found = [orjson.loads(record.value) for record in self.read("alerts")]
        return [event for event in found if kind in {None, event["kind"]}]

    def states(self) -> dict[tuple[int, str], Any]:
        """Return the newest state of each machine by partition; None for a tombstone."""
        found: dict[tuple[int, str], Any] = {}
        for record in self.read("state"):
            if is_activation(record.key):
                continue
            state = record.value and orjson.loads(record.value)
            found[record.partition, record.key.decode()] = state
        return found

    def position(self, partition: int = 0) -> int | None:
        """Return the committed offset of the input."""
        name = load_config(self.settings).kafka.group_id
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=name)
        try:
            found: int | None = consumer.committed(TopicPartition(self.topics["input"], partition))
            return found
        finally:
            consumer.close(autocommit=False)


def message(row: Row) -> tuple[bytes, bytes]:
    machine, stamp, *cells = row
    values = dict(zip(SENSORS, map(float, cells), strict=True))
    record = {"machine_id": machine, "time": stamp, "values": values}
    return machine.encode(), orjson.dumps(record)


def said(caplog: pytest.LogCaptureFixture, event: str) -> list[Mapping[str, Any]]:
    """Return what the program logged of an event."""
    found = [record.msg for record in caplog.records if record.name == "stream_ad"]
    return [line for line in found if isinstance(line, dict) and line["event"] == event]


def by_machine(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(events, key=lambda event: event["machine_id"])  # each machine's in order


def still_open(events: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the machine of each incident that was opened and not closed."""
    found: dict[str, str] = {}
    for event in events:
        if event["event"] == "closed":
            del found[event["incident_id"]]
        else:
            found[event["incident_id"]] = event["machine_id"]
    return found


def home(machine: str, partitions: int) -> int:
    """Return where the default partitioner sends a machine."""
    return int((murmur2(machine.encode()) & 0x7FFFFFFF) % partitions)
