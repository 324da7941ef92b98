"""What a clock decides: how soon a score is told, and who is silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.cli.recordings import LEARNED, LENGTH, MACHINES, PERIOD, SENSORS, STEPS, text_of, time_of
from tests.kafka_cluster.waiting import until
from tests.service.running import PATIENCE_S, ROWS, Service

Make = Callable[..., Service]


def window(machine: str, step: int) -> bytes:
    """Return the window of a machine that begins with a step."""
    rows = [row for row in ROWS[len(MACHINES) * step :] if row[0] == machine][:LENGTH]
    record = {
        "machine_id": machine,
        "start": time_of(step),
        "period_s": PERIOD,
        "sensors": SENSORS,
        "values": [[float(cell) for cell in row[2:]] for row in rows],
    }
    return orjson.dumps(record)


@contextmanager
def arrivals(service: Service, kind: str) -> Iterator[list[tuple[float, Any]]]:
    """Note when committed records of a topic can be read."""
    tp = TopicPartition(service.topics[kind], 0)
    consumer = KafkaConsumer(
        bootstrap_servers=service.bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    consumer.assign([tp])
    consumer.seek_to_beginning(tp)
    found: list[tuple[float, Any]] = []
    end = threading.Event()

    def read() -> None:
        while not end.is_set():
            for rows in consumer.poll(timeout_ms=20).values():
                found.extend((time.monotonic(), row) for row in rows)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield found
    finally:
        end.set()
        thread.join()
        consumer.close()


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_window_in_an_idle_topic_is_scored_within_a_second(make: Make, delivery: str) -> None:
    """A machine's first window waits for its second, which tells that its clock is right."""
    service = make(input={"format": "window"}, kafka={"delivery": delivery})
    (machine, *_), steps = MACHINES, range(LEARNED, STEPS, LENGTH)
    scored = 0

    def is_told() -> bool:
        return len(found) == scored

    with (
        service.worker(),
        arrivals(service, "scores") as found,
        KafkaProducer(bootstrap_servers=service.bootstrap) as producer,
    ):
        for scored, step in enumerate(steps[:5], start=1):
            producer.send(service.topics["input"], window(machine, step)).get(10)
            produced = time.monotonic()
            if scored > 1:
                assert until(is_told, PATIENCE_S, pause_s=0.01)
            if scored > 2:
                assert found[-1][0] - produced < 1.0
            time.sleep(0.8)  # idle
    ends = [orjson.loads(row.value)["window_end"] for _, row in found]
    assert ends == [text_of(step + LENGTH) for step in steps[:5]]


# ------------------------------------------------------------------ silence

IDLE_S = 1.0


def silent(service: Service, event: str) -> dict[str, list[str]]:
    """Return the ids of incidents of silence that were opened or closed, by machine."""
    found: dict[str, list[str]] = {machine: [] for machine in MACHINES}
    for row in service.alerts("silent"):
        if row["event"] == event:
            found[row["machine_id"]].append(row["incident_id"])
    return found


def test_a_silence_is_opened_once_and_ended_by_a_successor_under_its_id(make: Make) -> None:
    service = make(partitions=2, windows={"idle_s": IDLE_S})
    first, other, another = MACHINES
    rows = len(MACHINES) * 10
    service.produce(ROWS[:rows])
    with service.worker():
        assert until(lambda: all(silent(service, "opened").values()), PATIENCE_S)
    opened = silent(service, "opened")
    with service.worker():
        time.sleep(IDLE_S + 2)
        assert silent(service, "opened") == opened
        assert not any(silent(service, "closed").values())
        service.produce(ROWS[rows : rows + 1])
        assert until(lambda: bool(silent(service, "closed")[first]), PATIENCE_S)
        assert silent(service, "closed") == {first: opened[first], other: [], another: []}
        assert until(lambda: len(silent(service, "opened")[first]) == 2, PATIENCE_S)
    again = silent(service, "opened")
    assert {other: opened[other], another: opened[another]}.items() <= again.items()
    assert again[first][1] != again[first][0]
    (ended,) = [row for row in service.alerts("silent") if row["event"] == "closed"]
    assert ended["closed_reason"] == "recovered"
