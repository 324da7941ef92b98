"""A worker process of the fault tests does what is done to it, and says what it said."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.worker import Event, Worker
from tests.kafka_cluster.waiting import until

SPEAK = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
for number in range(10_000):
    print('{"event": "turn", "number": %d}' % number, file=sys.stderr, flush=True)
    print("no JSON", file=sys.stderr, flush=True)
    time.sleep(0.01)
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker([sys.executable, "-c", SPEAK], tmp_path / "log")
    yield worker
    worker.kill()


def turn(number: int, worker: Worker) -> Event | None:
    return worker.wait_for(lambda event: event.fields["number"] >= number, 10)


def test_events_are_the_lines_that_are_objects(worker: Worker) -> None:
    event = turn(3, worker)
    assert event is not None
    assert (event.name, event.fields) == ("turn", {"number": 3})
    worker.kill()
    assert [e.fields["number"] for e in worker.events] == [*range(len(worker.events))]
    assert "no JSON" in worker.tail()


def test_a_killed_worker_is_gone_with_all_it_said(worker: Worker) -> None:
    assert turn(0, worker) is not None
    assert worker.resident() > 0
    worker.kill()
    assert (worker.running, worker.code, worker.resident()) == (False, 128 + signal.SIGKILL, 0)
    assert worker.wait_for(lambda event: event.name == "never", 10) is None


def test_a_worker_that_is_asked_ends_with_its_own_code(worker: Worker) -> None:
    assert turn(0, worker) is not None
    assert worker.stop() == 3


def test_a_frozen_worker_says_nothing_until_it_is_thawed(worker: Worker) -> None:
    assert turn(2, worker) is not None
    worker.freeze()
    until(lambda: False, 0.2)
    said = len(worker.events)
    until(lambda: False, 0.2)
    assert len(worker.events) == said
    worker.thaw()
    assert turn(said + 1, worker) is not None


def test_a_frozen_worker_can_be_killed(worker: Worker) -> None:
    assert turn(0, worker) is not None
    worker.freeze()
    worker.kill()
    assert not worker.running
