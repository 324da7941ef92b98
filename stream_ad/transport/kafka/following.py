"""Topics followed without a group: read on from given offsets up to given offsets.

Nothing is committed: whoever follows keeps the positions together with what became of the
records.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from stream_ad.config import KafkaConfig
from stream_ad.transport.kafka.clients import observer
from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.failures import Healing, classify, heals_alone, refusal
from stream_ad.transport.kafka.ledger import Mark
from stream_ad.transport.kafka.waits import ANSWER_MS, CLOSE_S, ENDED_S, PAUSE_S

POLL_MS = 200  # without a group there is no rejoin that has to fit into it
MOST_AHEAD = 20_000  # records in the hand that nobody may have yet, beyond which fewer are fetched
Rows = dict[int, list[Any]]


class Ends:
    """Says where the service has come to in its input, and where topics end.

    Parameters
    ----------
    config : KafkaConfig
    """

    def __init__(self, config: KafkaConfig) -> None:
        self._input, self._consumer = config.topics.input, observer(config)

    def processed(self, partitions: Collection[int]) -> dict[int, int]:
        """Return the first offset that the service's group has not processed, by partition.

        A partition in which it has never committed is left out. Whatever it told of what lies
        before these offsets was written before this returns, though a reader may have to wait
        for the end of the transaction: see `of`.

        Raises
        ------
        Undelivered
            The brokers do not answer.
        BrokerError
            The group may not be seen.
        """
        found = {}
        for partition in partitions:
            tp = TopicPartition(self._input, partition)
            commit = _asked(self._consumer.committed, tp, metadata=True, timeout_ms=ANSWER_MS)
            if commit is not None:
                # the offset is that of the oldest reading in no state; what is told goes further
                found[partition] = max(commit.offset, Mark.read(commit.metadata).through + 1)
        return found

    def of(self, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """Return where partitions end, with what open transactions wrote.

        A reader of committed records that comes so far has waited for all that were open.

        Raises
        ------
        Undelivered
            The brokers do not answer.
        """
        return _ends(self._consumer, topic, partitions)

    def close(self) -> None:
        """End the consumer."""
        self._consumer.close(timeout_ms=round(CLOSE_S * 1000))


class Follower:
    """The committed records of a topic, handed on in order of offset and once each.

    Parameters
    ----------
    consumer : KafkaConsumer
        A `reader` of its own.
    topic : str
    positions : mapping of int to int, optional
        Where to go on, by partition; others begin with the first record that is still there.
    longest_s : float
        How long nothing may come before `Undelivered`; see `patience_s`.
    turn : callable, optional
        Called between two reads: the work goes on. It may raise.
    lost : callable, optional
        Told a partition, the position that the brokers no longer have, and the one to go on at.

    Attributes
    ----------
    positions : dict of int to int
        What was handed on lies before these.
    """

    def __init__(
        self,
        consumer: KafkaConsumer,
        topic: str,
        positions: Mapping[int, int] | None = None,
        *,
        longest_s: float,
        turn: Callable[[], None] = lambda: None,
        lost: Callable[[int, int, int], None] = lambda *_: None,
    ) -> None:
        self.topic, self.positions = topic, dict(positions or {})
        self._consumer, self._longest_s = consumer, longest_s
        self._turn, self._lost = turn, lost
        self._ahead: Rows = {}  # fetched and not handed on yet
        self._fetched: dict[int, int] = {}  # what was fetched lies before these

    def partitions(self) -> list[int]:
        """Return the partitions of the topic, as far as the client knows by now.

        Raises
        ------
        Undelivered
            It knows of none: there is no such topic, or the brokers are away.
        """
        found = sorted(_asked(self._consumer.partitions_for_topic, self.topic))
        if not found:
            raise Undelivered(f"topic {self.topic} does not exist, or this user may not see it")
        return found

    def ends(self, partitions: Collection[int]) -> dict[int, int]:
        """Return where the committed records end, before any open transaction; raises as `Ends`."""
        return _ends(self._consumer, self.topic, partitions)

    def rewind(self, ends: Mapping[int, int]) -> None:
        """Begin partitions anew that end before their positions: the topic was made anew."""
        beyond = {p: at for p, at in self.positions.items() if at > ends.get(p, at)}
        if beyond:
            self._find_again(beyond)

    def read(self, ends: Mapping[int, int]) -> Iterator[Rows]:
        """Yield the records before these offsets, some at a time, by partition.

        Raises
        ------
        Undelivered
            A transaction stays open for longer than any may, or the brokers do not answer. The
            positions say what was handed on, and another call goes on there.
        """
        unknown = [partition for partition in ends if partition not in self.positions]
        self.positions |= self._beginning(unknown)
        patience = time.monotonic() + self._longest_s
        while behind := [p for p, end in ends.items() if self.positions[p] < end]:
            self._turn()
            before = dict(self.positions)
            rows = self._hand_on(behind, ends)
            if not rows:
                self._fetch(behind)
                rows = self._hand_on(behind, ends)
            if rows:
                yield rows
            if self.positions != before:
                patience = time.monotonic() + self._longest_s
            elif time.monotonic() > patience:
                raise Undelivered(f"{self.topic}: an open transaction does not end, or no answer")

    def close(self) -> None:
        """End the consumer."""
        self._consumer.close(timeout_ms=round(CLOSE_S * 1000))

    def _of(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    def _hand_on(self, behind: Collection[int], ends: Mapping[int, int]) -> Rows:
        """Return what is in hand before the ends, and move the positions."""
        handed = {}
        for partition in behind:
            rows = self._ahead.pop(partition, [])
            cut = bisect_left(rows, ends[partition], key=lambda row: row.offset)
            if cut:
                handed[partition] = rows[:cut]
            if cut < len(rows):
                self._ahead[partition] = rows[cut:]
                self.positions[partition] = rows[cut].offset
            else:
                # not that of the last record: markers and aborted ones are passed over unseen
                self.positions[partition] = self._fetched.get(partition, self.positions[partition])
        return handed

    def _fetch(self, behind: Collection[int]) -> None:
        """Take records into the hand, of others as well if they come along."""
        self._assign(behind)
        try:
            found = self._consumer.poll(timeout_ms=POLL_MS)
        except OffsetOutOfRangeError as error:
            self._find_again({tp.partition: offset for tp, offset in error.args[0].items()})
            return
        except KafkaError as error:
            _judge(error)
            time.sleep(PAUSE_S)
            return
        for tp, rows in found.items():
            self._ahead.setdefault(tp.partition, []).extend(rows)
        for partition in {*behind, *(tp.partition for tp in found)}:
            at = _asked(self._consumer.position, self._of(partition), timeout_ms=ANSWER_MS)
            self._fetched[partition] = self._fetched[partition] if at is None else int(at)

    def _assign(self, behind: Collection[int]) -> None:
        """Fetch what is behind; of what is not, no more once there is much of it in the hand.

        The client's own pause is no help: what it has fetched of a partition that is paused in
        the midst of it, it may never return once that is resumed.
        """
        fetching = {tp.partition for tp in self._consumer.assignment()}
        much = sum(map(len, self._ahead.values())) > MOST_AHEAD
        wanted = set(behind) if much else fetching | set(behind)
        if wanted == fetching:
            return
        self._consumer.assign([*map(self._of, sorted(wanted))])
        for partition in wanted:
            self._fetched.setdefault(partition, self.positions[partition])
            self._consumer.seek(self._of(partition), self._fetched[partition])

    def _beginning(self, partitions: Collection[int]) -> dict[int, int]:
        wanted = [*map(self._of, partitions)]
        if not wanted:
            return {}
        first = _asked(self._consumer.beginning_offsets, wanted, timeout_ms=ANSWER_MS)
        return {tp.partition: offset for tp, offset in first.items()}

    def _find_again(self, lost: Mapping[int, int]) -> None:
        fetching = {tp.partition for tp in self._consumer.assignment()}
        for partition, first in self._beginning(lost).items():
            self.positions[partition] = self._fetched[partition] = first
            self._ahead.pop(partition, None)
            if partition in fetching:
                self._consumer.seek(self._of(partition), first)
            self._lost(partition, lost[partition], first)


def patience_s(config: KafkaConfig) -> float:
    """Return how long a transaction may hide what comes after it: longer, and none is answered."""
    return config.transaction_timeout_s + ENDED_S


def _ends(consumer: KafkaConsumer, topic: str, partitions: Collection[int]) -> dict[int, int]:
    wanted = [TopicPartition(topic, partition) for partition in partitions]
    ends = _asked(consumer.end_offsets, wanted, timeout_ms=ANSWER_MS)
    return {tp.partition: end for tp, end in ends.items()}


def _asked(question: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Ask the brokers; `Undelivered` where another time may do."""
    try:
        return question(*arguments, **named)
    except KafkaError as error:
        _judge(error)
        raise Undelivered(f"the brokers do not answer: {error}") from error


def _judge(error: KafkaError) -> None:
    """Raise what no other time heals."""
    if classify(error) is Healing.FATAL_CONFIG:
        raise refusal(error) from error
    if not heals_alone(error):
        raise error
