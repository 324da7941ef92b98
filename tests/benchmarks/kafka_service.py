"""The service on Kafka as it is, measured from outside: its pace, its processor time, its delay."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from stream_ad.config import Config, parse_config
from stream_ad.service.health import Health
from stream_ad.service.shell import Shell
from stream_ad.service.worker import run_worker
from tests.benchmarks.generated import Plant
from tests.benchmarks.kafka_load import Load, create

TICKS = os.sysconf("SC_CLK_TCK")
LONGEST_S = 600.0
RUN = "from stream_ad.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a service of the benchmark works.

    Parameters
    ----------
    bootstrap : str
    registry : Path
        With one detector of the plant.
    plant : Plant
    """

    bootstrap: str
    registry: Path
    plant: Plant

    def tree(self, load: Load, name: str, *, scores: bool = False, **more: Any) -> dict[str, Any]:
        """Make the topics of a service of its own and return its settings."""
        topics = {kind: f"{name}.{kind}" for kind in ("alerts", "dead_letter", "state")}
        if scores:
            topics["scores"] = f"{name}.scores"
        for kind, topic in topics.items():
            if kind == "state":
                create(self.bootstrap, topic, load.partitions, cleanup_policy="compact")
            else:
                create(self.bootstrap, topic, 1)
        return {
            "input": {"format": load.kind, "fields": {"time": _time(load)}},
            "windows": {
                "sensors": [f"s{c}" for c in range(self.plant.sensors)],
                "period_s": 1,
                "length": self.plant.length,
            },
            "kafka": {
                "bootstrap_servers": [self.bootstrap],
                "group_id": name,
                "topics": {"input": load.topic, **topics},
            },
            "registry": {"uri": str(self.registry)},
            **more,
        }


def _time(load: Load) -> str:
    return "start" if load.kind == "window" else "time"


class Counting(Health):
    """Takes the time of every commit."""

    def __init__(self) -> None:
        super().__init__(60, 60)
        self.commits: list[tuple[float, int]] = []
        self.failed: BaseException | None = None

    def took(self, records: int) -> None:
        """Note a commit."""
        super().took(records)
        self.commits.append((time.perf_counter(), records))

    @property
    def records(self) -> int:
        """How many were committed so far."""
        return sum(records for _, records in self.commits)


@contextlib.contextmanager
def serving(config: Config) -> Iterator[Counting]:
    """Run a worker in a thread of this process."""
    counting = Counting()
    shell = replace(Shell.silent(), health=counting)

    def work() -> None:
        try:
            run_worker(config, 0, reset_state=False, shell=shell)
        except BaseException as error:
            counting.failed = error

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield counting
    finally:
        shell.stop()
        thread.join(60)
    if counting.failed is not None:
        raise counting.failed


def served_per_s(tree: dict[str, Any], load: Load) -> float:
    """Return records per second, from the first commit to the last."""
    with serving(parse_config(tree)) as counting:
        _wait(lambda: counting.failed or counting.records >= load.records)
    commits = counting.commits
    seconds = commits[-1][0] - commits[0][0]
    return sum(records for _, records in commits[1:]) / seconds


def cpu_per_million(tree: dict[str, Any], load: Load, folder: Path, workers: int) -> float:
    """Return processor seconds of workers per 10^6 records, from their first restore on."""
    file = folder / f"{tree['kafka']['group_id']}.yaml"
    file.write_text(yaml.safe_dump(tree))
    logs = [folder / f"{file.stem}-{slot}.log" for slot in range(workers)]
    command = [sys.executable, "-c", RUN, "run", "--config", str(file), "--slot"]
    processes = []
    try:
        for slot, log in enumerate(logs):
            with log.open("w") as out:
                processes.append(subprocess.Popen([*command, str(slot)], stderr=out))
        _wait(lambda: all('"restored"' in log.read_text() for log in logs))
        first, done = sum(map(_cpu_s, processes)), _done(tree, load)
        _wait(lambda: _done(tree, load) >= load.records)
        used = sum(map(_cpu_s, processes)) - first
    finally:
        for process in processes:
            process.terminate()
            process.wait(60)
    # a short topic may be at its end before anybody looked
    return used / (load.records - done) * 1e6 if done < load.records else float("nan")


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _done(tree: dict[str, Any], load: Load) -> int:
    kafka = tree["kafka"]
    with KafkaAdminClient(bootstrap_servers=kafka["bootstrap_servers"]) as admin:
        offsets = admin.list_group_offsets([kafka["group_id"]])[kafka["group_id"]]
    return sum(max(0, offset.offset) for offset in offsets.values())


def _wait(until: Any) -> None:
    end = time.monotonic() + LONGEST_S
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the service does not come to the end of its topic")
        time.sleep(0.05)


def delays(
    bootstrap: str, config: Config, key: bytes, first: list[bytes], pairs: list[list[bytes]]
) -> list[float]:
    """Return seconds from producing an anomalous window to reading its incident.

    Parameters
    ----------
    bootstrap : str
    config : Config
        With an incident for every alarm.
    key : bytes
        Of all records.
    first : list of bytes
        Normal windows, since a machine's first record waits for the second.
    pairs : list of [bytes, bytes]
        An anomalous window, and a normal one that closes its incident.
    """
    topics = config.kafka.topics
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", fetch_max_wait_ms=100
    )
    consumer.assign([TopicPartition(topics.alerts, 0)])
    consumer.seek_to_end()
    consumer.position(TopicPartition(topics.alerts, 0))
    seconds = []
    with serving(config) as counting, KafkaProducer(bootstrap_servers=bootstrap) as producer:
        for value in first:
            producer.send(topics.input, value, key=key)
        _wait(lambda: counting.failed or counting.records >= len(first))
        for loud, quiet in pairs:
            began = time.perf_counter()
            producer.send(topics.input, loud, key=key)
            _see(consumer, b'"opened"')
            seconds.append(time.perf_counter() - began)
            producer.send(topics.input, quiet, key=key)
            _see(consumer, b'"closed"')
            time.sleep(config.kafka.batch_s)  # a topic at rest
        assert counting.records == len(first) + 2 * len(pairs)
    consumer.close()
    return seconds


def _see(consumer: KafkaConsumer, word: bytes) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for rows in consumer.poll(timeout_ms=500).values():
            if any(word in row.value for row in rows):
                return
    raise TimeoutError(f"no event with {word!r}")
