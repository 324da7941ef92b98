"""With which right a worker commits, and how it comes out of a rebalance that never ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, MetadataEmptyBrokerList, UnknownError
from kafka.structs import ConsumerGroupMetadata, MemberState

from stream_ad.config import KafkaConfig
from stream_ad.errors import BrokerError
from stream_ad.transport.kafka import clients
from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.membership import Group, Polled
from tests.kafka.clients import write
from tests.kafka.fixtures import CreateTopic
from tests.kafka.place import SESSION_S, Place, placed
from tests.kafka_cluster.waiting import until

IDLE_MS = 1_500  # between two polls, beyond which the client leaves the group
PATIENCE_S = 30.0


@pytest.fixture
def place(kafka: str, create_topic: CreateTopic, unique: Callable[[str], str]) -> Iterator[Place]:
    with placed(kafka, create_topic, unique("group")) as place:
        yield place


@contextmanager
def impatient() -> Iterator[None]:
    """Make consumers that leave the group when they are not polled for a moment."""

    def consumer(**settings: Any) -> KafkaConsumer:
        return KafkaConsumer(**settings | {"max_poll_interval_ms": IDLE_MS})

    with mock.patch.object(clients, "KafkaConsumer", consumer):
        yield


@contextmanager
def group_of(place: Place, slot: int = 0) -> Iterator[Group]:
    """Join the group, as a worker does."""
    group = Group(lambda: clients.group_consumer(place.config, slot), place.input.topic, SESSION_S)
    yield group
    group.close()


def first_records(group: Group, place: Place) -> Polled:
    """Poll until records of the input's only partition come, as a worker that restores it."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        polled = group.poll()
        if polled.new:
            group.seek(0, 0)
        elif polled.records:
            return polled
    raise AssertionError("no records")


def has_left(group: Group) -> bool:
    return bool(group.consumer.group_metadata().generation_id < 0)


# ------------------------------------------------- rule 3: the membership that came with records


def test_a_worker_that_was_too_slow_is_fenced_by_the_membership_of_its_records(
    place: Place,
) -> None:
    write(place.config.bootstrap_servers[0], place.input.topic, [b"x"])
    once = place.exactly_once()
    with impatient(), group_of(place) as group:
        polled = first_records(group, place)
        assert until(lambda: has_left(group), PATIENCE_S)
        successor = place.member(1)
        with pytest.raises(Undelivered):
            once.deliver(place.messages(b"zombie"), [], place.offsets(1), polled.membership)
    assert (place.told(), place.saved()) == ([], None)
    once.deliver(place.messages(b"next"), [], place.offsets(1), successor.group_metadata())
    assert place.told() == [b"next"]


def test_a_membership_asked_for_at_commit_time_fences_nobody(place: Place) -> None:
    """The hole that `Polled.membership` closes, for members without a name of their own."""
    write(place.config.bootstrap_servers[0], place.input.topic, [b"x"])
    once = place.exactly_once()
    with impatient(), group_of(place) as group:
        first_records(group, place)
        assert until(lambda: has_left(group), PATIENCE_S)
        successor = place.member(1)
        assert successor.assignment() == {place.input}
        late = group.consumer.group_metadata()._replace(group_instance_id=None)
        once.deliver(place.messages(b"zombie"), [], place.offsets(1), late)
    assert (place.told(), place.saved()) == ([b"zombie"], 1)


def test_records_come_only_with_a_right_to_commit_and_again_after_it_was_lost(
    place: Place,
) -> None:
    write(place.config.bootstrap_servers[0], place.input.topic, [b"%d" % n for n in range(5)])
    with impatient(), group_of(place) as group:
        first_records(group, place)
        assert until(lambda: has_left(group), PATIENCE_S)
        polls = [group.poll()]
        while not polls[-1].records:
            assert len(polls) < 60
            if polls[-1].new:
                group.seek(0, 0)
            polls.append(group.poll())
    assert set().union(*(polled.gone for polled in polls)) == {0}
    assert [record.offset for record in polls[-1].records[0]] == [0, 1, 2, 3, 4]
    for polled in polls:
        member = polled.membership
        rightful = (
            member.generation_id >= 0 and member.member_id and member.state == MemberState.STABLE
        )
        assert rightful or not (polled.records or polled.new)


# ------------------------------------------------------------------ two of one name


def test_a_member_displaced_by_another_of_its_name_is_fenced(place: Place) -> None:
    write(place.config.bootstrap_servers[0], place.input.topic, [b"x"])
    once = place.exactly_once()
    with group_of(place) as first, group_of(place) as second:
        old = first_records(first, place)
        new = first_records(second, place)
        with pytest.raises(Undelivered, match=r"same identity, .*-0: .*kafka\.instance"):
            once.deliver(place.messages(b"old"), [], place.offsets(1), old.membership)
        assert place.told() == []
        once.deliver(place.messages(b"new"), [], place.offsets(1), new.membership)
    assert (place.told(), place.saved()) == ([b"new"], 1)


def test_a_member_whose_identity_was_taken_is_heard_no_more_though_it_reads_on(
    place: Place,
) -> None:
    write(place.config.bootstrap_servers[0], place.input.topic, [b"x"])
    with group_of(place) as first, group_of(place) as second:
        first_records(first, place)
        assert first.is_heard()
        first_records(second, place)

        def is_lost() -> bool:
            assert first.poll().stable
            second.poll()
            return not first.is_heard()

        assert until(is_lost, PATIENCE_S)
        assert second.is_heard()


# ------------------------------------------------------------------ rule 7: stuck in a rebalance


@dataclass(frozen=True)
class Record:
    offset: int


@dataclass
class Consumer:
    """A member whose group is rebalancing for as long as the test says; of a log of ten records."""

    state: MemberState = MemberState.REBALANCING
    generation: int = 1
    assigned: bool = True
    next: int = 0
    per_poll: int = 2
    closed: bool = False
    listener: Any = None
    seeks: list[int] = field(default_factory=list)
    error: KafkaError | None = None

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self.listener = listener

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Record]]:
        if self.error is not None:
            raise self.error
        first, self.next = self.next, min(self.next + self.per_poll, 10)
        records = [*map(Record, range(first, self.next))]
        return {INPUT: records} if records and self.assigned else {}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.seeks.append(offset)
        self.next = offset

    def assignment(self) -> set[TopicPartition]:
        return {INPUT} if self.assigned else set()

    def group_metadata(self) -> ConsumerGroupMetadata:
        member = "me" if self.generation >= 0 else ""
        return ConsumerGroupMetadata("group", self.generation, member, "w0", self.state)

    def close(self, timeout_ms: int) -> None:
        self.closed = True


INPUT = TopicPartition("input", 0)


class Stage:
    """A `Group` over consumers and a clock that are in the test's hands."""

    def __init__(self, session_s: float = SESSION_S) -> None:
        self.made: list[Consumer] = []
        self.now = 0.0
        self.group = Group(self._make, "input", session_s, lambda: self.now)

    def _make(self) -> Consumer:
        self.made.append(Consumer())
        return self.made[-1]

    @property
    def consumer(self) -> Consumer:
        return self.made[-1]


def offsets(polled: Polled) -> list[int]:
    return [record.offset for record in polled.records.get(0, [])]


@pytest.mark.parametrize(("session_s", "consumers"), [(SESSION_S, 2), (1e9, 1)])
def test_a_rebalance_that_outlasts_the_session_gets_a_new_consumer(
    session_s: float, consumers: int
) -> None:
    stage = Stage(session_s)
    stage.consumer.assigned = False
    for stage.now in (0.0, 1.0, SESSION_S):
        assert not stage.group.poll().records
        assert len(stage.made) == 1
    stage.now = SESSION_S + 0.1
    stage.group.poll()
    assert len(stage.made) == consumers
    assert stage.made[0].closed == (consumers == 2)
    assert stage.group.replaced == consumers - 1


def test_a_member_that_lost_its_right_and_with_it_its_partitions_is_told() -> None:
    """The right was withdrawn while the group rebalanced: no fetch is left that could fail."""
    stage = Stage()
    stage.consumer.state, stage.consumer.assigned = MemberState.STABLE, False
    topics: set[str] = set()
    client = SimpleNamespace(cluster=SimpleNamespace(unauthorized_topics=topics))
    vars(stage.consumer)["_client"] = client
    assert not stage.group.poll().records  # another member may hold them all
    topics.add("input")
    with pytest.raises(BrokerError, match="input"):
        stage.group.poll()


def test_the_new_consumer_has_a_session_of_its_own_and_what_was_held_is_told_gone() -> None:
    stage = Stage()
    stage.consumer.state = MemberState.STABLE
    assert stage.group.poll().new == {0}
    stage.consumer.state = MemberState.REBALANCING
    stage.now = SESSION_S + 1
    assert stage.group.poll().gone == {0}
    assert (len(stage.made), stage.group.held) == (2, set())
    stage.now += SESSION_S - 0.1
    stage.group.poll()
    assert len(stage.made) == 2
    stage.consumer.state = MemberState.STABLE
    assert stage.group.poll().new == {0}


def test_records_that_came_in_a_rebalance_are_read_again() -> None:
    stage = Stage()
    stage.consumer.state = MemberState.STABLE
    assert offsets(stage.group.poll()) == [0, 1]
    stage.consumer.state = MemberState.REBALANCING
    assert [offsets(stage.group.poll()) for _ in range(3)] == [[], [], []]
    assert stage.consumer.seeks == [2, 2, 2]  # what the client had given out
    stage.consumer.state = MemberState.STABLE
    assert [offsets(stage.group.poll()) for _ in range(2)] == [[2, 3], [4, 5]]


def test_a_partition_given_in_a_rebalance_is_new_at_its_end() -> None:
    stage = Stage()
    stage.consumer.listener.on_partitions_assigned([INPUT])
    polled = stage.group.poll()
    assert (polled.new, polled.records) == (set(), {})
    stage.consumer.state = MemberState.STABLE
    assert stage.group.poll().new == {0}
    assert stage.group.poll().new == set()


def test_a_partition_that_went_and_came_back_is_both() -> None:
    stage = Stage()
    stage.consumer.state = MemberState.STABLE
    stage.group.poll()
    stage.consumer.listener.on_partitions_lost([INPUT])
    stage.consumer.listener.on_partitions_assigned([INPUT])
    polled = stage.group.poll()
    assert (polled.gone, polled.new, stage.group.held) == ({0}, {0}, {0})


def test_who_is_no_member_holds_nothing() -> None:
    stage = Stage()
    stage.consumer.state = MemberState.STABLE
    stage.group.poll()
    stage.consumer.generation = -1
    polled = stage.group.poll()
    assert (polled.gone, polled.records, stage.group.held) == ({0}, {}, set())
    assert len(stage.made) == 1


def test_brokers_that_come_back_are_waited_for_and_nothing_is_skipped() -> None:
    stage = Stage()
    stage.consumer.state = MemberState.STABLE
    assert offsets(stage.group.poll()) == [0, 1]
    stage.consumer.error = MetadataEmptyBrokerList()
    polled = stage.group.poll()
    assert (polled.stable, polled.records, stage.group.held) == (False, {}, {0})
    stage.consumer.error = None
    assert offsets(stage.group.poll()) == [2, 3]
    assert len(stage.made) == 1


def test_a_client_that_fails_for_longer_than_the_session_is_replaced() -> None:
    stage = Stage()
    stage.consumer.state = MemberState.STABLE
    stage.group.poll()
    stage.consumer.error = MetadataEmptyBrokerList()
    stage.now = SESSION_S + 1
    assert stage.group.poll().gone == {0}
    assert len(stage.made) == 2


def test_what_no_poll_heals_is_raised() -> None:
    stage = Stage()
    stage.consumer.error = UnknownError()
    with pytest.raises(UnknownError):
        stage.group.poll()


def test_with_the_shortest_polls_a_member_comes_out_of_every_rebalance(place: Place) -> None:
    """Polls of 10 ms leave the bare client stuck for ever in most of its starts."""
    write(place.config.bootstrap_servers[0], place.input.topic, [b"x"])
    with group_of(place) as group:
        seen: set[int] = set()

        def comes() -> bool:
            polled = group.poll(timeout_ms=10)
            if polled.new:
                group.seek(0, 0)
            seen.update(polled.records)
            return bool(seen)

        assert until(comes, PATIENCE_S, pause_s=0)


# ------------------------------------------------------------------ partitions that wait


HELD, FEW_AT_ONCE, ALL_OF = 1_500, 70, range(4)  # one fetch is given out in many polls
Offsets = dict[int, list[int]]


def read(group: Group, found: Offsets, done: Callable[[], bool]) -> None:
    """Poll until it is done, and note the offsets that come."""
    end = time.monotonic() + PATIENCE_S / 3
    while not done():
        assert time.monotonic() < end, {number: len(rows) for number, rows in found.items()}
        for partition, rows in group.poll(100).records.items():
            found[partition] += [row.offset for row in rows]


@pytest.mark.parametrize(("waiting", "back"), [(1, None), (1, 300), (3, None), (3, 300)])
def test_partitions_paused_in_the_midst_of_what_was_fetched_go_on(
    kafka: str,
    create_topic: CreateTopic,
    unique: Callable[[str], str],
    waiting: int,
    back: int | None,
) -> None:
    """The client by itself gives out no more of them, and fetches no more."""
    topic, everything = create_topic("input", len(ALL_OF)), [*range(HELD)]
    with KafkaProducer(bootstrap_servers=kafka) as producer:
        for number in everything:
            for partition in ALL_OF:
                producer.send(topic, b"%d" % number, partition=partition)
        producer.flush()
    config = KafkaConfig(bootstrap_servers=(kafka,), group_id=unique("group"))
    group = Group(lambda: clients.group_consumer(config, 0, FEW_AT_ONCE), topic, 30.0)
    found: Offsets = {partition: [] for partition in ALL_OF}
    paused: set[int] = set()

    def begun() -> set[int]:
        return {p for p, rows in found.items() if 0 < len(rows) < HELD} - paused

    def is_whole(partitions: set[int]) -> bool:
        return all(len(found[partition]) >= HELD for partition in partitions)

    try:
        while group.held != {*ALL_OF}:
            group.poll()
        for partition in ALL_OF:
            group.seek(partition, 0)
        for _ in range(waiting):
            read(group, found, lambda: bool(begun()))
            paused |= begun()
            group.pause(paused)
        read(group, found, lambda: is_whole({*ALL_OF} - paused))
        for partition in paused:
            assert len(found[partition]) < HELD
            if back is not None:
                group.seek(partition, back)
                found[partition] = everything[:back]
        group.pause(paused, going_on=True)
        read(group, found, lambda: is_whole(paused))
    finally:
        group.close()
    assert found == dict.fromkeys(ALL_OF, everything)
