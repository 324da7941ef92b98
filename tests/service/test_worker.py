"""The loop on a real broker: what it scores, survives, refuses, and leaves behind."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewPartitions

from stream_ad.errors import StateError
from tests.cli.recordings import LEARNED, MACHINES, text_of
from tests.kafka_cluster.waiting import until
from tests.service.running import (
    BEFORE_THE_FAULT,
    IN_THE_FAULT,
    PATIENCE_S,
    ROWS,
    Replayed,
    Running,
    Service,
    by_machine,
    home,
    said,
    still_open,
)


def test_what_is_not_scored_or_not_used_is_told(
    make: Callable[..., Service], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "stream_ad")
    service = make()
    service.produce([*ROWS[:BEFORE_THE_FAULT], b"no record"])
    with service.worker():
        assert until(lambda: bool(service.read("dead_letter")), PATIENCE_S)
        assert until(lambda: bool(said(caplog, "ready")), PATIENCE_S)
    (letter,) = said(caplog, "dead letter: a record could not be used")
    assert (letter["partition"], letter["offset"]) == (0, BEFORE_THE_FAULT)
    event = "windows are not scored: the history of the detector ends later than they do"
    lines = said(caplog, event)
    assert lines[0]["windows"] > 0
    assert lines[0]["newest_record"] < lines[0]["history_ends"] == text_of(LEARNED - 1)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_live_gives_what_the_replay_gives(
    make: Callable[..., Service], replayed: Replayed, delivery: str
) -> None:
    service = make(partitions=2, kafka={"delivery": delivery})
    service.produce(ROWS)
    with service.worker():
        assert until(lambda: len(service.scores()) >= len(replayed[0]), PATIENCE_S)
    assert service.scores() == replayed[0]
    assert by_machine(service.alerts()) == by_machine(replayed[1])


@pytest.mark.parametrize(
    "rows", [BEFORE_THE_FAULT, IN_THE_FAULT], ids=["nothing open", "an incident open"]
)
def test_machines_that_moved_leave_a_tombstone_and_no_open_incident(
    make: Callable[..., Service], rows: int
) -> None:
    service = make(partitions=2)
    service.produce(ROWS[:rows])
    with service.worker():
        here = {(home(machine, 2), machine) for machine in MACHINES}
        assert until(lambda: service.states().keys() == here, PATIENCE_S)
        left_open = still_open(service.alerts())
        with KafkaAdminClient(bootstrap_servers=service.bootstrap) as admin:
            topics = [service.topics[kind] for kind in ("state", "input")]
            admin.create_partitions({topic: NewPartitions(3) for topic in topics})
        time.sleep(4)  # metadata_max_age_ms, and a rebalance
        service.produce(ROWS[rows : rows + 30])
        there = {(home(machine, 3), machine) for machine in MACHINES}
        assert there != here
        assert until(lambda: there <= service.states().keys(), PATIENCE_S)
    states = service.states()
    assert {place for place, state in states.items() if state is None} == here - there
    gone = {machine for _, machine in here - there}
    moved = {e["incident_id"] for e in service.alerts() if e["closed_reason"] == "moved"}
    assert moved == {name for name, machine in left_open.items() if machine in gone}


def test_partitions_without_a_state_partition_wait_and_the_others_are_read(
    make: Callable[..., Service],
) -> None:
    service = make(partitions=2)
    with KafkaAdminClient(bootstrap_servers=service.bootstrap) as admin:
        admin.create_partitions({service.topics["input"]: NewPartitions(3)})
        time.sleep(1)  # until the broker tells producers
        there = {(home(machine, 3), machine) for machine in MACHINES}
        waiting = {(partition, machine) for partition, machine in there if partition == 2}
        assert waiting
        assert waiting != there
        service.produce(ROWS[:BEFORE_THE_FAULT])
        with service.worker():
            assert until(lambda: service.states().keys() == there - waiting, PATIENCE_S)
            known = len(service.scores())
            service.produce(ROWS[BEFORE_THE_FAULT:IN_THE_FAULT])
            assert until(lambda: len(service.scores()) > known, PATIENCE_S)
            admin.create_partitions({service.topics["state"]: NewPartitions(3)})
            assert until(lambda: service.states().keys() == there, PATIENCE_S)


@pytest.mark.parametrize(
    "rows", [BEFORE_THE_FAULT, IN_THE_FAULT], ids=["nothing open", "an incident open"]
)
def test_states_of_other_windows_are_refused_and_after_a_reset_are_gone_for_good(
    make: Callable[..., Service], rows: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "stream_ad")
    service, other = make(), {"disorder_s": 1.0}
    service.produce(ROWS[:rows])
    with service.worker():
        assert until(lambda: len(service.states()) == len(MACHINES), PATIENCE_S)
    left_open = still_open(service.alerts())
    old = {state["windows"] for state in service.states().values()}

    refused = Running(service.config(windows=other)).ended()
    assert isinstance(refused, StateError)
    assert "--reset-state" in str(refused)

    def is_reset() -> bool:
        return not old & {state["windows"] for state in service.states().values()}

    with service.worker(reset_state=True, windows=other):
        assert until(is_reset, PATIENCE_S)
    reset = {e["incident_id"] for e in service.alerts() if e["closed_reason"] == "reset"}
    assert reset == left_open.keys()
    assert is_reset()
    (line,) = said(caplog, "machine states given up, as asked: they begin anew")
    assert (line["machines"], line["incidents_closed"]) == (len(MACHINES), len(left_open))
    assert all(line["records"] for line in said(caplog, "committed"))
    with service.worker(windows=other):  # without the option
        time.sleep(2)
