"""What the compacted state topic knows: machine states and activations, by partition."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import RetriableError
from pydantic import ValidationError

from stream_ad.config import KafkaConfig
from stream_ad.errors import StateError
from stream_ad.records import ActivationRecord
from stream_ad.transport.kafka.activations import is_activation
from stream_ad.transport.kafka.clients import reader
from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.waits import ANSWER_MS, ENDED_S

POLL_MS = 200


@dataclass(frozen=True, slots=True)
class Restored:
    """What a partition of the state topic holds.

    Parameters
    ----------
    states : dict of str to bytes
        The newest state record of every machine.
    activations : list of ActivationRecord
        In the order in which they were written.
    """

    states: dict[str, bytes] = field(default_factory=dict)
    activations: list[ActivationRecord] = field(default_factory=list)


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

    def read(self, partitions: Collection[int]) -> dict[int, Restored]:
        """Return the newest state record of every machine and all activations, by partition.

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
        StateError
            An activation cannot be read.

        Notes
        -----
        An open transaction of a worker that was stopped hides what its successors committed
        behind it. So the end to read to is where all transactions, open ones too, end now:
        the read waits until each is decided.
        """
        return self._answered(partitions, _keep)

    def activations(self, partitions: Collection[int]) -> dict[int, list[ActivationRecord]]:
        """Return all activations by partition, as `read` without the states."""
        found = self._answered(partitions, _keep_activation)
        return {partition: restored.activations for partition, restored in found.items()}

    def missing(self, partitions: Collection[int]) -> set[int]:
        """Return those partitions that the state topic does not have, or not yet."""
        return set(partitions) - set(self._ends.partitions_for_topic(self._topic) or ())

    def _answered(
        self, partitions: Collection[int], keep: Callable[[Restored, Any], None]
    ) -> dict[int, Restored]:
        try:
            return self._read(partitions, keep)
        except RetriableError as error:
            raise Undelivered(f"{self._topic}: no answer") from error

    def _read(
        self, partitions: Collection[int], keep: Callable[[Restored, Any], None]
    ) -> dict[int, Restored]:
        wanted = [TopicPartition(self._topic, partition) for partition in partitions]
        consumer, ends = self._committed, self._ends.end_offsets(wanted, timeout_ms=ANSWER_MS)
        consumer.assign(wanted)
        consumer.seek_to_beginning(*wanted)
        found = {partition: Restored() for partition in partitions}
        longest = self._config.transaction_timeout_s + ENDED_S
        patience = time.monotonic() + longest
        # positions, not records: aborted ones and markers are passed over without being seen
        while any(_position(consumer, tp) < end for tp, end in ends.items()):
            for tp, rows in consumer.poll(timeout_ms=POLL_MS).items():
                for row in rows:
                    keep(found[tp.partition], row)
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


def _keep_activation(found: Restored, row: Any) -> None:
    if is_activation(row.key):
        found.activations.append(_activation(row))


def _keep(found: Restored, row: Any) -> None:
    if is_activation(row.key):
        _keep_activation(found, row)
    elif row.value is None:
        found.states.pop(row.key.decode(), None)
    else:
        found.states[row.key.decode()] = row.value


def _activation(row: Any) -> ActivationRecord:
    try:
        return ActivationRecord.model_validate_json(row.value or b"")
    except ValidationError as error:
        where = f"topic {row.topic}, partition {row.partition}, offset {row.offset}"
        said = error.errors()[0]["msg"]
        raise StateError(f"{where}: an activation that cannot be read: {said}") from error
