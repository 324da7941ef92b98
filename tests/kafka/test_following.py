"""Partitions read up to what the service has processed: all of it, once, and nothing after."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kafka import KafkaAdminClient, TopicPartition

from stream_ad.errors import BrokerError
from stream_ad.transport.kafka import clients
from stream_ad.transport.kafka import following as module
from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.following import Ends, Follower, patience_s
from stream_ad.transport.kafka.ledger import Mark
from tests.kafka.fixtures import CreateTopic
from tests.kafka.place import Place, placed
from tests.kafka_cluster.waiting import until

PARTITIONS = 2
MARKED_S = 10.0  # a commit is seen a moment after it was made


@pytest.fixture
def place(kafka: str, create_topic: CreateTopic, unique: Callable[[str], str]) -> Iterator[Place]:
    with placed(kafka, create_topic, unique("group"), partitions=PARTITIONS) as place:
        yield place


@contextmanager
def following(
    place: Place,
    topic: str | None = None,
    positions: Mapping[int, int] | None = None,
    longest_s: float = 10.0,
    **named: Any,
) -> Iterator[Follower]:
    consumer = clients.reader(place.config)
    name = topic or place.input.topic
    follower = Follower(consumer, name, positions, longest_s=longest_s, **named)
    yield follower
    follower.close()


@pytest.fixture
def ends(place: Place) -> Iterator[Ends]:
    ends = Ends(place.config)
    yield ends
    ends.close()


def fill(place: Place, *batches: int, topic: str | None = None) -> dict[int, list[int]]:
    """Write batches of records, each a transaction; return the offsets by partition."""
    producer = place.producer(7)
    producer.init_transactions()
    written: dict[int, list[int]] = {p: [] for p in range(PARTITIONS)}
    for size in batches:
        producer.begin_transaction()
        sent = [
            producer.send(topic or place.input.topic, b"%d" % n, partition=n % PARTITIONS)
            for n in range(size)
        ]
        producer.flush()
        for future in sent:
            told = future.get(timeout=10)
            written[told.partition].append(told.offset)
        producer.commit_transaction()
    return written


def offsets(follower: Follower, ends: Mapping[int, int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {p: [] for p in range(PARTITIONS)}
    for rows in follower.read(ends):
        for partition, part in rows.items():
            found[partition] += [row.offset for row in part]
    return found


def before(written: Mapping[int, list[int]], ends: Mapping[int, int]) -> dict[int, list[int]]:
    return {p: [at for at in all_ if at < ends.get(p, 0)] for p, all_ in written.items()}


def test_what_lies_before_the_ends_is_read_once_and_nothing_after(place: Place) -> None:
    written = fill(place, 20, 20, 20)
    with following(place) as follower:
        first, second = {0: 7, 1: 25}, {0: 100, 1: 25}
        second = {p: min(end, max(written[p]) + 1) for p, end in second.items()}
        assert offsets(follower, first) == before(written, first)
        assert follower.positions[0] == 7
        rest = offsets(follower, second)
        assert rest[1] == []
        assert rest[0] == [at for at in written[0] if at >= 7]
        assert offsets(follower, second) == {0: [], 1: []}


def test_another_goes_on_at_the_positions(place: Place) -> None:
    written = fill(place, 30)
    with following(place) as follower:
        offsets(follower, {0: 4, 1: 9})
        kept = dict(follower.positions)
    with following(place, positions=kept) as successor:
        ends = successor.ends(successor.partitions())
        rest = offsets(successor, ends)
    assert rest == {p: [at for at in written[p] if at >= kept[p]] for p in written}


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=6))
def test_however_the_ends_move_all_is_read_once(
    numbered: tuple[Place, dict[int, list[int]]], cuts: list[tuple[int, int]]
) -> None:
    """Backwards they may move as well, when the service has lost a commit: nothing comes twice."""
    place, written = numbered
    with following(place) as follower:
        last = follower.ends([0, 1])
        found: dict[int, list[int]] = {p: [] for p in written}
        for cut in [*(dict(enumerate(pair)) for pair in cuts), last]:
            wanted = {p: min(end, last[p]) for p, end in cut.items()}
            for partition, part in offsets(follower, wanted).items():
                found[partition] += part
                reached = max([wanted[partition], follower.positions[partition]])
                assert all(at < reached for at in part)
    assert found == written


@pytest.fixture
def numbered(place: Place) -> tuple[Place, dict[int, list[int]]]:
    return place, fill(place, 30, 3, 31, 1)


@pytest.mark.parametrize("ahead", [20_000, 25])
def test_a_partition_that_waited_in_the_midst_of_what_was_fetched_goes_on(
    place: Place, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the client has fetched of a partition and is not asked for is not lost to it."""
    monkeypatch.setattr(module, "MOST_AHEAD", ahead)
    written = fill(place, 400)
    few = place.config.model_copy(update={"batch_records": 30})  # in a poll
    follower = Follower(clients.reader(few), place.input.topic, longest_s=5)
    last = follower.ends([0, 1])
    found: dict[int, list[int]] = {p: [] for p in written}
    for ends in ({0: 10, 1: 0}, {0: 10, 1: 150}, {0: 120, 1: 150}, {0: 121, 1: 199}, last):
        for partition, part in offsets(follower, ends).items():
            found[partition] += part
            assert all(at < ends[partition] for at in part)
    follower.close()
    assert found == written


def test_a_partition_that_joins_later_is_read_from_its_first_record(place: Place) -> None:
    written = fill(place, 20)
    with following(place) as follower:
        offsets(follower, {0: 5})
        ends = follower.ends([0, 1])
        rest = offsets(follower, ends)
    assert rest == {0: [at for at in written[0] if at >= 5], 1: written[1]}


# ------------------------------------------------------------ open transactions


def test_the_end_waits_for_transactions_that_are_open(place: Place, ends: Ends) -> None:
    fill(place, 4)
    open_one = place.producer(3)
    open_one.init_transactions()
    open_one.begin_transaction()
    open_one.send(place.input.topic, b"x", partition=0).get(timeout=10)
    with following(place) as follower:
        assert follower.ends([0])[0] < ends.of(place.input.topic, [0])[0]
        timer = threading.Timer(0.5, open_one.commit_transaction)
        timer.start()
        found = offsets(follower, ends.of(place.input.topic, [0]))
        timer.join()
    assert len(found[0]) == 3  # two of four, and what came late


def test_a_transaction_that_never_ends_is_not_waited_for_for_ever(place: Place, ends: Ends) -> None:
    open_one = place.producer(3)
    open_one.init_transactions()
    open_one.begin_transaction()
    open_one.send(place.input.topic, b"x", partition=0).get(timeout=10)
    with following(place, longest_s=0.6) as follower:
        end = ends.of(place.input.topic, [0])
        with pytest.raises(Undelivered, match="open transaction"):
            offsets(follower, end)
        open_one.abort_transaction()
        assert offsets(follower, end)[0] == []
        assert follower.positions[0] >= end[0]


def test_no_transaction_of_the_service_may_hide_anything_for_longer(place: Place) -> None:
    assert patience_s(place.config) > place.config.transaction_timeout_s + 10


# ------------------------------------------------------------ what the service has processed


def test_the_services_position_is_what_it_told_the_outputs_of(place: Place, ends: Ends) -> None:
    assert ends.processed([0, 1]) == {}  # no worker has run yet
    member = place.member()
    commit = {place.input: place.offsets(5)[place.input]._replace(metadata=Mark(11, 1).text())}
    place.exactly_once().deliver([], [], commit, member.group_metadata())
    # its oldest unsaved reading is 5
    assert until(lambda: ends.processed([0, 1]) == {0: 12}, MARKED_S)


def test_an_open_commit_does_not_keep_anybody_waiting(place: Place, ends: Ends) -> None:
    member = place.member()
    place.exactly_once().deliver([], [], place.offsets(3), member.group_metadata())
    producer = place.producer(1)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send_offsets_to_transaction(place.offsets(9), member.group_metadata())
    assert until(lambda: ends.processed([0]) == {0: 3}, MARKED_S)
    producer.commit_transaction()
    assert until(lambda: ends.processed([0]) == {0: 9}, MARKED_S)


# ------------------------------------------------------------ trouble


def test_records_that_are_gone_are_told_and_passed_over(kafka: str, place: Place) -> None:
    written, told = fill(place, 40), list[tuple[int, int, int]]()
    with following(place, positions={0: 2, 1: 0}, lost=lambda *gap: told.append(gap)) as follower:
        offsets(follower, {0: 4})
        with KafkaAdminClient(bootstrap_servers=kafka) as admin:
            admin.delete_records({TopicPartition(place.input.topic, 0): 15})
        with following(place, positions={0: 4}, lost=lambda *gap: told.append(gap)) as late:
            rest = offsets(late, late.ends([0]))
    assert told == [(0, 4, 15)]
    assert rest[0] == [at for at in written[0] if at >= 15]


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(place: Place) -> None:
    written, told = fill(place, 10), list[tuple[int, int, int]]()
    kept = {0: 900, 1: 3}
    with following(place, positions=kept, lost=lambda *gap: told.append(gap)) as follower:
        ends = follower.ends([0, 1])
        follower.rewind(ends)
        found = offsets(follower, ends)
    assert told == [(0, 900, 0)]
    assert found == {0: written[0], 1: [at for at in written[1] if at >= 3]}


def test_a_topic_that_is_not_there_is_said_so(place: Place, unique: Callable[[str], str]) -> None:
    absent = following(place, topic=unique("absent"))
    with absent as follower, pytest.raises(Undelivered, match="does not exist"):
        follower.partitions()


def test_a_wish_to_end_comes_through(place: Place) -> None:
    class Wish(BaseException):
        pass

    def end() -> None:
        raise Wish

    fill(place, 4)
    with following(place, turn=end) as follower, pytest.raises(Wish):
        offsets(follower, {0: 2})
    assert follower.positions == {0: 0}


def test_a_group_that_may_not_be_seen_is_refused(
    place: Place, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kafka.errors import GroupAuthorizationFailedError

    def refuse(*_: Any, **__: Any) -> None:
        raise GroupAuthorizationFailedError("group")

    monkeypatch.setattr(ends._consumer, "committed", refuse)
    with pytest.raises(BrokerError, match="READ on the consumer group"):
        ends.processed([0])
