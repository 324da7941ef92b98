"""Machine states from the compacted state topic, for the partitions just taken over."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import RetriableError

from stream_ad.config import KafkaConfig
from stream_ad.transport.kafka.clients import reader
from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.waits import ANSWER_MS, ENDED_S

POLL_MS = 200


class StateReader:
    """Reads partitions of the state topic to their end.

    Parameters
    ----------
    config : KafkaConfig
    turn : callable
        Called between two reads: the work goes on.
    """

    def __init__(self, config: KafkaConfig, turn: Callable[[], None]) -> None:
        self._config, self._topic, self._turn = config, config.topics.state, turn
        self._committed = reader(config)
        try:
            self._ends = reader(config, uncommitted=True)
        except BaseException:
            self._committed.close(timeout_ms=0)  # whoever tries again makes another
            raise

    def read(self, partitions: Collection[int]) -> dict[int, dict[str, bytes]]:
        """Return the newest state record of every machine, by partition.

        Parameters
        ----------
        partitions : collection of int
            The committed offsets of the same partitions of the input must have been read
            before, or the states could be older than they.

        Raises
        ------
        Undelivered
            A transaction that was begun before stays open for longer than any may, or the
            brokers do not answer.

        Notes
        -----
        An open transaction of a worker that was stopped hides what its successors committed
        behind it. So the end to read to is where all transactions, open ones too, end now:
        the read waits until each is decided.
        """
        try:
            return self._read(partitions)
        except RetriableError as error:
            raise Undelivered(f"{self._topic}: no answer") from error

    def missing(self, partitions: Collection[int]) -> set[int]:
        """Return those partitions that the state topic does not have, or not yet."""
        return set(partitions) - set(self._ends.partitions_for_topic(self._topic) or ())

    def _read(self, partitions: Collection[int]) -> dict[int, dict[str, bytes]]:
        wanted = [TopicPartition(self._topic, partition) for partition in partitions]
        consumer, ends = self._committed, self._ends.end_offsets(wanted, timeout_ms=ANSWER_MS)
        consumer.assign(wanted)
        consumer.seek_to_beginning(*wanted)
        found: dict[int, dict[str, bytes]] = {partition: {} for partition in partitions}
        longest = self._config.transaction_timeout_s + ENDED_S
        patience = time.monotonic() + longest
        # positions, not records: aborted ones and markers are passed over without being seen
        while any(_position(consumer, tp) < end for tp, end in ends.items()):
            for tp, rows in consumer.poll(timeout_ms=POLL_MS).items():
                for row in rows:
                    _keep(found[tp.partition], row.key.decode(), row.value)
                patience = time.monotonic() + longest
            if time.monotonic() > patience:
                raise Undelivered(f"{self._topic}: an open transaction does not end")
            self._turn()
        consumer.unsubscribe()
        return found

    def close(self) -> None:
        """End the consumers."""
        for consumer in (self._committed, self._ends):
            consumer.close(timeout_ms=1_000)


def _position(consumer: KafkaConsumer, tp: TopicPartition) -> int:
    position = consumer.position(tp, timeout_ms=ANSWER_MS)
    if position is None:
        raise Undelivered(f"{tp.topic}: no answer")
    return int(position)


def _keep(states: dict[str, bytes], machine: str, record: bytes | None) -> None:
    if record is None:
        states.pop(machine, None)
    else:
        states[machine] = record
