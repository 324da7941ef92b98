"""However a worker is interrupted, the outputs are those of an undisturbed run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kafka.errors import CommitFailedError

from stream_ad.service.worker import Worker
from stream_ad.transport.kafka import delivery
from stream_ad.transport.kafka.delivery import AtLeastOnce, ExactlyOnce, Undelivered
from tests.kafka_cluster.waiting import until
from tests.service.running import IN_THE_FAULT, PATIENCE_S, ROWS, Replayed, Service, by_machine

Make = Callable[..., Service]
FEW = {"batch_records": 200}  # records of a transaction: scores begin in the third


def ended(service: Service, replayed: Replayed) -> bool:
    """Return whether the last window of each machine is scored."""
    last = max(end for _, end, _ in replayed[0])
    wanted = {score for score in replayed[0] if score[1] == last}
    return wanted <= set(service.scores())


# ------------------------------------------------------------------ stopped


def test_a_successor_goes_on_exactly(make: Make, replayed: Replayed) -> None:
    service = make(partitions=2)
    service.produce(ROWS[:IN_THE_FAULT])
    with service.worker():
        assert until(lambda: bool(service.alerts()), PATIENCE_S)
    service.produce(ROWS[IN_THE_FAULT:])
    with service.worker():
        assert until(lambda: ended(service, replayed), PATIENCE_S)
    assert service.scores() == replayed[0]
    assert by_machine(service.alerts()) == by_machine(replayed[1])


def test_workers_stopped_with_a_backlog_leave_nothing_out(make: Make, replayed: Replayed) -> None:
    service = make(kafka={"batch_records": 100, "batch_s": 0.3})
    service.produce(ROWS)
    told = [0]
    for _ in range(3):
        with service.worker():
            assert until(lambda: len(service.scores()) > told[-1], PATIENCE_S)
        told.append(len(service.scores()))
    assert told[1] < len(replayed[0])  # there was a backlog
    with service.worker():
        assert until(lambda: ended(service, replayed), PATIENCE_S)
    assert service.scores() == replayed[0]
    assert by_machine(service.alerts()) == by_machine(replayed[1])


# ------------------------------------------------------------------ rule 6: read again


class AbortsOnce:
    """A delivery whose third transaction is aborted when all of it was sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outputs: list[int] = []
        self._deliver = ExactlyOnce.deliver
        calls = self

        def deliver(once: ExactlyOnce, *arguments: Any) -> None:
            calls(once, *arguments)

        monkeypatch.setattr(ExactlyOnce, "deliver", deliver)

    def __call__(self, once: ExactlyOnce, outputs: Any, states: Any, *others: Any) -> None:
        self.outputs.append(len(outputs))
        if len(self.outputs) != 3:
            self._deliver(once, outputs, states, *others)
            return
        once._producer.begin_transaction()
        delivery.send(once._producer, [*outputs, *states], 5.0)
        once._producer.abort_transaction()
        raise Undelivered("for the test")


def test_an_aborted_transaction_is_made_again(
    make: Make, replayed: Replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, aborts = make(kafka=FEW), AbortsOnce(monkeypatch)
    service.produce(ROWS)
    with service.worker():
        assert until(lambda: ended(service, replayed), PATIENCE_S)
    assert aborts.outputs[2] > 0
    assert service.scores() == replayed[0]
    assert by_machine(service.alerts()) == by_machine(replayed[1])


def test_a_worker_that_did_not_read_again_would_lose_it(
    make: Make, replayed: Replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault that the test above sees."""
    service, aborts = make(kafka=FEW), AbortsOnce(monkeypatch)
    monkeypatch.setattr(Worker, "_start_over", lambda self, error: None)
    service.produce(ROWS)
    with service.worker():
        assert until(lambda: ended(service, replayed), PATIENCE_S)
    assert len(service.scores()) < len(replayed[0])
    assert len(aborts.outputs) > 3


# ------------------------------------------------------------------ at least once


class FailsOnce:
    """Sending whose sixth step fails: the states of the third batch, after its outputs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        self._send = delivery.send
        monkeypatch.setattr(delivery, "send", self)

    def __call__(self, *arguments: Any) -> None:
        self.steps += 1
        if self.steps == 6:
            raise CommitFailedError("for the test")
        self._send(*arguments)


def interrupted(make: Make, replayed: Replayed, monkeypatch: pytest.MonkeyPatch) -> Service:
    """Return a service that told all it could, once interrupted between outputs and states."""
    service = make(kafka=FEW | {"delivery": "at_least_once"})
    service.produce(ROWS)
    fails = FailsOnce(monkeypatch)
    with service.worker():
        assert until(lambda: ended(service, replayed), PATIENCE_S)
    assert fails.steps > 6
    return service


def test_at_least_once_repeats_and_loses_nothing(
    make: Make, replayed: Replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = interrupted(make, replayed, monkeypatch)
    found = service.scores()
    assert len(found) > len(replayed[0])
    assert sorted(set(found)) == replayed[0]
    ids = {dict(record.headers)["ce_id"] for record in service.read("scores")}
    assert len(ids) == len(replayed[0])


def test_with_states_before_outputs_it_would_lose(
    make: Make, replayed: Replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault that the test above sees."""
    deliver = AtLeastOnce.deliver

    def swapped(once: AtLeastOnce, outputs: Any, states: Any, offsets: Any, member: Any) -> None:
        deliver(once, states, outputs, offsets, member)

    monkeypatch.setattr(AtLeastOnce, "deliver", swapped)
    found = interrupted(make, replayed, monkeypatch).scores()
    assert len(set(found)) < len(replayed[0])
