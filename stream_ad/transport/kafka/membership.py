"""One member of the consumer group: what it holds, what came, and with which right to commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import (
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RetriableError,
    TopicAuthorizationFailedError,
)
from kafka.partitioner.default import murmur2
from kafka.structs import ConsumerGroupMetadata, MemberState

from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.failures import (
    Displaced,
    Healing,
    classify,
    displacement,
    heals_alone,
    refusal,
)
from stream_ad.transport.kafka.ledger import Mark
from stream_ad.transport.kafka.waits import ANSWER_MS, CLOSE_S, LOOK_MS, PAUSE_S, POLL_MS


@dataclass(slots=True)
class Polled:
    """What one poll brought.

    Parameters
    ----------
    records : dict of int to list of ConsumerRecord
        By partition, in order of offset.
    gone : set of int
        Partitions that are no longer ours; whatever is known of them is stale.
    new : set of int
        Partitions that are ours from now on, to be restored before a record of theirs is used.
    lost : dict of int to int
        Partitions whose position the broker no longer has, and that position.
    membership : ConsumerGroupMetadata
        As it stood when the records came: a commit under it is fenced if it is outdated.
    stable : bool
        Whether anything may be committed under it; without, there are no records.
    """

    records: dict[int, list[Any]]
    membership: ConsumerGroupMetadata
    stable: bool = True
    gone: set[int] = field(default_factory=set)
    new: set[int] = field(default_factory=set)
    lost: dict[int, int] = field(default_factory=dict)


class Saved(NamedTuple):
    """The committed offset of a partition, and what was said with it."""

    offset: int
    mark: Mark


class Group:
    """A subscribed member of the group.

    Parameters
    ----------
    make : callable
        Returns a consumer that is not subscribed.
    topic : str
    session_s : float
        A rebalance that is not over after so long never will be: the consumer is replaced.
    clock : callable
        Seconds.

    Notes
    -----
    The listener only records, since it runs on the client's own thread, where nothing that
    waits for the broker may be called.
    """

    def __init__(
        self,
        make: Callable[[], KafkaConsumer],
        topic: str,
        session_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._topic, self._session_s, self._clock = make, topic, session_s, clock
        self.held: set[int] = set()
        self.replaced = 0
        self._subscribe()

    def _subscribe(self) -> None:
        self._changes = _Changes()
        self.consumer = self._make()
        self.consumer.subscribe([self._topic], listener=self._changes)
        self._stable = self._unsettled = self._clock()

    def poll(self, timeout_ms: int = POLL_MS) -> Polled:
        """Wait for records, take part in rebalances, say what changed.

        Raises
        ------
        BrokerError
            The group or the topic may not be used.
        KafkaError
            What the caller has to heal by starting anew.
        """
        found: Mapping[TopicPartition, list[Any]] = {}
        lost: dict[int, int] = {}
        _let_go_on(self.consumer)
        try:
            found = self.consumer.poll(timeout_ms=timeout_ms)
        except NoOffsetForPartitionError:
            pass  # of new partitions that were never committed: restoring them seeks
        except OffsetOutOfRangeError as error:
            lost = {tp.partition: offset for tp, offset in error.args[0].items()}
        except KafkaError as error:
            self._judge(error)
            time.sleep(PAUSE_S)
            return self._unstable(self.consumer.group_metadata(), *self._changes.take())
        membership = self.consumer.group_metadata()
        gone, new = self._changes.take()
        if not _may_commit(membership):
            self._unread(found)
            return self._unstable(membership, gone, new)
        self._stable = self._clock()
        assigned = {tp.partition for tp in self.consumer.assignment()}
        # a right withdrawn while the group rebalances leaves no partition whose fetch would fail
        if not assigned and (refused := _refused(self.consumer)):
            self._judge(TopicAuthorizationFailedError(refused))
        # the listener knows what went and came back; the assignment, what it was not told
        gone, new = gone | (self.held - assigned), (new | (assigned - self.held)) & assigned
        self.held = assigned
        records = {tp.partition: rows for tp, rows in found.items() if tp.partition in assigned}
        lost = {partition: at for partition, at in lost.items() if partition in assigned}
        return Polled(records, membership, True, gone, new, lost)

    def _judge(self, error: KafkaError) -> None:
        """Raise what no further poll heals."""
        if classify(error) is Healing.FATAL_CONFIG:
            raise refusal(error) from error
        taken = displacement(error, self.consumer.group_metadata().group_instance_id)
        if taken is not None:
            raise Displaced(taken) from error
        if not heals_alone(error):
            raise error

    def _unread(self, found: Mapping[TopicPartition, list[Any]]) -> None:
        """Go back before records that could not be committed now."""
        for tp, rows in found.items():
            if rows and tp in self.consumer.assignment():
                self.consumer.seek(tp, rows[0].offset)

    def _unstable(self, membership: Any, gone: set[int], new: set[int]) -> Polled:
        """Wait for the rebalance; without a generation, or when it is stuck, give up all."""
        self._unsettled = self._clock()
        stuck = self._clock() - self._stable > self._session_s
        if stuck or not _is_member(membership):
            gone = gone | self.held
        else:
            self._changes.new |= new - gone  # theirs will be the first stable poll
        self.held = self.held - gone
        if stuck:
            self.replace()
        return Polled({}, membership, False, gone)

    def is_heard(self) -> bool:
        """Return whether the group hears of this member, which otherwise loses what it holds.

        No poll tells: a member whose identity another process took sends no heartbeat any more,
        but reads on.
        """
        told = self.consumer.metrics()["consumer-coordinator-metrics"]
        settled_s = self._clock() - self._unsettled  # no heartbeat goes out in a rebalance
        silent_s: float = min(told["last-heartbeat-seconds-ago"], settled_s)
        return silent_s <= self._session_s

    def replace(self) -> None:
        """Close the consumer and join again with a new one; nothing is held any more."""
        self.close()
        self.held, self.replaced = set(), self.replaced + 1
        self._subscribe()

    def saved(
        self,
        partitions: Iterable[int],
        timeout_s: float,
        turn: Callable[[], None] = lambda: None,
    ) -> dict[int, Saved | None]:
        """Return what is committed, waiting for a predecessor's open transaction.

        ``turn`` is called about once a second: the work goes on.

        Raises
        ------
        Undelivered
            It stayed open for longer than ``timeout_s``, or the brokers do not answer.
        """
        found = {}
        for partition in partitions:
            commit = self._committed(partition, self._clock() + timeout_s, turn)
            found[partition] = commit and Saved(commit.offset, Mark.read(commit.metadata))
        return found

    def _committed(self, partition: int, latest: float, turn: Callable[[], None]) -> Any:
        while True:
            turn()
            left_ms = max(1, min(LOOK_MS, round((latest - self._clock()) * 1000)))
            try:
                return self.consumer.committed(
                    self.of(partition), metadata=True, timeout_ms=left_ms
                )
            except KafkaError as error:
                if not heals_alone(error):
                    raise
                if self._clock() >= latest:
                    raise Undelivered(f"partition {partition}: no position yet") from error

    def seek(self, partition: int, offset: int) -> None:
        """Go on at an offset; what was fetched ahead is dropped."""
        self.consumer.seek(self.of(partition), offset)

    def beginning(self, partitions: Collection[int]) -> dict[int, int]:
        """Return the first offsets that the broker still has; Undelivered without answer."""
        return self._bounds(self.consumer.beginning_offsets, partitions)

    def end(self, partitions: Collection[int]) -> dict[int, int]:
        """Return the offsets of the next records; Undelivered without answer."""
        return self._bounds(self.consumer.end_offsets, partitions)

    def _bounds(self, ask: Callable[..., Any], partitions: Collection[int]) -> dict[int, int]:
        try:
            offsets = ask([*map(self.of, partitions)], timeout_ms=ANSWER_MS)
        except KafkaError as error:
            if not heals_alone(error):
                raise
            raise Undelivered("the brokers do not say which offsets they have") from error
        return {tp.partition: offset for tp, offset in offsets.items()}

    def is_at_end(self, partition: int) -> bool:
        """Ask the broker whether nothing more waits; what was heard last may be old."""
        try:
            return self.end([partition])[partition] <= self.position(partition)
        except Undelivered:
            return False

    def pause(self, partitions: Iterable[int], *, going_on: bool = False) -> None:
        """Fetch nothing of partitions, or fetch again."""
        held = [tp for tp in map(self.of, partitions) if tp in self.consumer.assignment()]
        (self.consumer.resume if going_on else self.consumer.pause)(*held)

    def position(self, partition: int) -> int:
        """Return where the next poll goes on, transaction markers passed over.

        Raises
        ------
        Undelivered
            The partition went in the background; the next poll says so.
        """
        try:
            position = self.consumer.position(self.of(partition), timeout_ms=ANSWER_MS)
        except (IllegalStateError, NoOffsetForPartitionError, RetriableError) as error:
            raise Undelivered(f"partition {partition} has no position") from error
        if position is None:
            raise Undelivered(f"partition {partition} has no position")
        return int(position)

    def lag(self, partition: int) -> int | None:
        """Return how many offsets lie ahead; None where that is not known now."""
        tp = self.of(partition)
        if tp not in self.consumer.assignment():
            return None
        high = self.consumer.highwater(tp)
        return None if high is None else max(0, int(high) - self.position(partition))

    def size(self) -> int:
        """Return how many partitions the topic has, as far as the client knows by now."""
        return len(self.consumer.partitions_for_topic(self._topic) or ())

    def of(self, partition: int) -> TopicPartition:
        """Return the partition as the client names it."""
        return TopicPartition(self._topic, partition)

    def close(self) -> None:
        """End the consumer; as a static member it stays in the group until the session ends."""
        self.consumer.close(timeout_ms=round(CLOSE_S * 1000))


def default_partition(machine: str, partitions: int) -> int:
    """Return where the default partitioner of Kafka's clients sends a key.

    Examples
    --------
    >>> [default_partition(name, 3) for name in ("press-1", "press-2", "press-3")]
    [1, 2, 0]
    """
    return int(murmur2(machine.encode()) & 0x7FFFFFFF) % partitions


def _let_go_on(consumer: KafkaConsumer) -> None:
    """Let the client take up again what it put aside of a partition that was paused.

    kafka-python 3.0 does so only where it has no records in hand, and takes the empty husk of the
    last ones for some: then it neither gives out what lies aside nor fetches the partition anew.
    """
    fetcher = getattr(consumer, "_fetcher", None)
    if fetcher is not None and not fetcher._next_partition_records:
        fetcher._next_partition_records = None


def _refused(consumer: KafkaConsumer) -> set[str]:
    """Return the topics that the broker lets this user know nothing of."""
    client = getattr(consumer, "_client", None)
    return set() if client is None else set(client.cluster.unauthorized_topics)


def _is_member(membership: Any) -> bool:
    return membership.generation_id >= 0 and bool(membership.member_id)


def _may_commit(membership: Any) -> bool:
    """Return whether a commit under it is fenced when outdated: without generation none is."""
    return _is_member(membership) and membership.state == MemberState.STABLE


class _Changes(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """Takes note of what the group does, until the loop looks."""

    def __init__(self) -> None:
        self.gone: set[int] = set()
        self.new: set[int] = set()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Note partitions that go."""
        went = {tp.partition for tp in revoked}
        self.gone |= went
        self.new -= went

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note partitions that come."""
        self.new |= {tp.partition for tp in assigned}

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Note partitions that went already."""
        self.on_partitions_revoked(lost)

    def take(self) -> tuple[set[int], set[int]]:
        """Return and forget what was noted: gone, new. What went and came again is both."""
        taken = self.gone, self.new
        self.gone, self.new = set(), set()
        return taken
