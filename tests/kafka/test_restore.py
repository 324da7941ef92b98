"""What a successor reads of its predecessors: their last position and states, decided ones only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError

from stream_ad.config import KafkaConfig
from stream_ad.transport.kafka import clients, restore
from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.ledger import Mark
from stream_ad.transport.kafka.membership import Group, Saved
from stream_ad.transport.kafka.restore import StateReader
from tests.kafka.fixtures import CreateTopic
from tests.kafka.place import SESSION_S, Place, placed


@pytest.fixture
def place(kafka: str, create_topic: CreateTopic, unique: Callable[[str], str]) -> Iterator[Place]:
    with placed(kafka, create_topic, unique("group"), partitions=2) as place:
        yield place


@contextmanager
def joined(place: Place, slot: int) -> Iterator[Group]:
    group = Group(lambda: clients.group_consumer(place.config, slot), place.input.topic, SESSION_S)
    yield group
    group.close()


@contextmanager
def reader(place: Place, turn: Callable[[], None] = lambda: None) -> Iterator[StateReader]:
    states = StateReader(place.config, turn)
    yield states
    states.close()


def read(states: StateReader, *partitions: int) -> dict[int, dict[str, bytes]]:
    return {at: found.states for at, found in states.read(partitions).items()}


def owner(place: Place, slot: int = 1) -> KafkaProducer:
    """Return the producer of a worker that begins."""
    producer = place.producer(slot)
    producer.init_transactions()
    return producer


def keep(place: Place, by: KafkaProducer, machine: str, state: bytes | None, at: int = 0) -> None:
    """Commit the state of a machine."""
    by.begin_transaction()
    by.send(place.config.topics.state, state, key=machine.encode(), partition=at)
    by.flush()
    by.commit_transaction()


def left_open(place: Place, slot: int, *states: bytes) -> KafkaProducer:
    """Return the producer of a worker that was stopped in a transaction with these states."""
    producer = owner(place, slot)
    producer.begin_transaction()
    for state in states:
        producer.send(place.config.topics.state, state, key=b"m", partition=0)
    producer.flush()
    return producer


def after(seconds: float, action: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


# ------------------------------------------------------------ rule 4: positions


@pytest.mark.parametrize("commits", [True, False])
def test_a_position_is_known_when_the_predecessors_transaction_is_decided(
    place: Place, commits: bool
) -> None:
    member = place.member()
    place.exactly_once().deliver([], [], place.offsets(3), member.group_metadata())
    producer = left_open(place, 0)
    producer.send_offsets_to_transaction(place.offsets(5), member.group_metadata())

    assert place.saved() == 3  # the older one, for somebody who does not ask for committed ones
    with joined(place, 1) as group:
        with pytest.raises(Undelivered):
            group.saved([0], 0.5)
        decide = producer.commit_transaction if commits else producer.abort_transaction
        timer = after(0.5, decide)
        saved = group.saved([0], 10)
        timer.join()
    assert saved == {0: Saved(5, Mark(4, 1)) if commits else Saved(3, Mark(2, 1))}


def test_a_partition_that_was_never_committed_has_no_position(place: Place) -> None:
    with joined(place, 0) as group:
        assert group.saved([0, 1], 10) == {0: None, 1: None}


# ------------------------------------------------------------ states


def to_the_last_stable_offset(place: Place) -> bytes | None:
    """Return the newest state of `m` that a reader of committed records sees at once."""
    consumer: KafkaConsumer = clients.reader(place.config)
    tp = TopicPartition(place.config.topics.state, 0)
    consumer.assign([tp])
    consumer.seek_to_beginning(tp)
    end, newest = consumer.end_offsets([tp])[tp], None
    while consumer.position(tp) < end:
        for rows in consumer.poll(timeout_ms=200).values():
            newest = rows[-1].value
    consumer.close()
    return newest


@pytest.mark.parametrize("commits", [True, False])
def test_an_open_transaction_hides_no_state_that_a_later_owner_committed(
    place: Place, commits: bool
) -> None:
    later = owner(place)
    keep(place, later, "m", b"old")
    stopped = left_open(place, 0, b"undecided")
    keep(place, later, "m", b"new")
    assert to_the_last_stable_offset(place) == b"old"

    turns: list[int] = []
    with reader(place, lambda: turns.append(1)) as states:
        decide = stopped.commit_transaction if commits else stopped.abort_transaction
        timer = after(0.7, decide)
        assert read(states, 0) == {0: {"m": b"new"}}
        timer.join()
    assert len(turns) > 1  # the watchdog hears of a worker that waits


def test_a_transaction_that_nobody_ends_is_waited_for_until_the_broker_does(place: Place) -> None:
    later = owner(place)
    left_open(place, 0, b"undecided")
    keep(place, later, "m", b"new")
    assert to_the_last_stable_offset(place) is None
    with reader(place) as states:
        assert read(states, 0) == {0: {"m": b"new"}}


def test_of_each_machine_the_newest_state_is_read_by_partition(place: Place) -> None:
    one = owner(place)
    for machine, state, partition in [
        ("a", b"1", 0),
        ("b", b"2", 1),
        ("a", b"3", 0),
        ("c", b"4", 0),
        ("a", b"5", 1),
    ]:
        keep(place, one, machine, state, partition)
    with reader(place) as states:
        assert read(states, 0, 1) == {0: {"a": b"3", "c": b"4"}, 1: {"b": b"2", "a": b"5"}}
        assert read(states, 1) == {1: {"b": b"2", "a": b"5"}}
        keep(place, one, "b", b"6", 1)
        assert read(states, 1) == {1: {"b": b"6", "a": b"5"}}


def test_a_machine_that_was_forgotten_is_not_restored_unless_it_came_back(place: Place) -> None:
    one = owner(place)
    for machine, state in [("a", b"1"), ("b", b"2"), ("a", None), ("b", None), ("b", b"3")]:
        keep(place, one, machine, state)
    with reader(place) as states:
        assert read(states, 0, 1) == {0: {"b": b"3"}, 1: {}}


def test_partitions_that_the_state_topic_lacks_are_known(place: Place) -> None:
    with reader(place) as states:
        assert states.missing([0, 1, 2, 3]) == {2, 3}


def test_no_consumer_is_left_where_the_second_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = mock.Mock(spec_set=KafkaConsumer)
    monkeypatch.setattr(restore, "reader", mock.Mock(side_effect=[first, KafkaTimeoutError()]))
    with pytest.raises(KafkaTimeoutError):
        StateReader(KafkaConfig(), lambda: None)
    first.close.assert_called_once()


def test_a_wait_for_a_position_is_broken_off_by_who_looks_in_it(place: Place) -> None:
    member = place.member().group_metadata()
    producer = left_open(place, 0)
    producer.send_offsets_to_transaction(place.offsets(5), member)
    with joined(place, 1) as group:
        turns: list[float] = []

        def turn() -> None:
            turns.append(time.monotonic())
            if len(turns) == 2:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            group.saved([0], 60, turn)
    assert turns[1] - turns[0] < 5
