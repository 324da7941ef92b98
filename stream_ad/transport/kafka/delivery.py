"""Messages and input positions to the brokers: as one transaction, or at least once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from kafka.structs import OffsetAndMetadata

from stream_ad.transport.kafka.failures import (
    Displaced,
    Healing,
    classify,
    displacement,
    refusal,
)
from stream_ad.transport.kafka.outgoing import Message
from stream_ad.transport.kafka.waits import CLOSE_S

Offsets = Mapping[TopicPartition, OffsetAndMetadata]
Trace = Callable[[str], None]
TRACED = "STREAM_AD_TRACE"  # for tests that kill a worker inside a transaction


class Undelivered(Exception):
    """Nothing of it is kept: what is in memory of these partitions has to be read again."""


class TooLarge(Undelivered):
    """A broker refused a message for its size; ``topic`` says whose limit it was."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        super().__init__(f"a record is larger than topic {topic} allows (max.message.bytes)")


class Delivery(Protocol):
    """Keeps messages and positions together."""

    def deliver(
        self, outputs: Sequence[Message], states: Sequence[Message], offsets: Offsets, member: Any
    ) -> None:
        """Send all of them, then commit the offsets.

        Raises
        ------
        Undelivered
            The worker has to read its partitions again.
        BrokerError
            It would never work.
        KafkaError
            The process has to be started again; `Displaced` where another took its identity.
        """
        ...

    def partitions(self, topic: str) -> set[int]:
        """Return the partitions that states can be sent to, as far as the producer knows.

        Raises
        ------
        Undelivered
            The brokers do not say.
        """
        ...

    def close(self) -> None:
        """End the producer."""
        ...


class ExactlyOnce:
    """Outputs, states and positions in one transaction.

    Parameters
    ----------
    make : callable
        Returns a transactional producer; `init_transactions` is called here, which ends what a
        predecessor of the same name left open.
    flush_s : float
        Longest wait for the acknowledgement of what was sent.
    trace : callable, optional
        Told ``begin`` and ``commit``.

    Notes
    -----
    The order is part of the promise: send, flush, look at every acknowledgement, hand over the
    offsets, commit. Without the look, a commit returns normally although the broker had given
    up the transaction and the records are lost.
    """

    def __init__(
        self, make: Callable[[], KafkaProducer], flush_s: float, trace: Trace | None = None
    ) -> None:
        self._make, self._flush_s = make, flush_s
        self._trace: Trace = trace or (lambda _: None)
        self._begin()

    def _begin(self) -> None:
        self._producer = self._make()
        try:
            self._producer.init_transactions()
        except KafkaError:
            with suppress(KafkaError):
                self._producer.close(timeout=0)  # whoever tries again makes another
            raise

    def deliver(
        self, outputs: Sequence[Message], states: Sequence[Message], offsets: Offsets, member: Any
    ) -> None:
        """See `Delivery.deliver`; ``member`` fences a commit that comes too late."""
        self._trace("begin")
        try:
            self._producer.begin_transaction()
            send(self._producer, [*outputs, *states], self._flush_s)
            self._producer.send_offsets_to_transaction(offsets, member)
            self._producer.commit_transaction()
        except TooLarge:
            # what was refused took a sequence number with it: the next record of its partition
            # would be refused as out of order
            self._producer.abort_transaction()
            self._producer.close(timeout=CLOSE_S)
            self._begin()
            raise
        except KafkaError as error:
            healing = classify(error)
            if healing is Healing.FATAL_CONFIG:
                raise refusal(error) from error
            taken = displacement(error, member.group_instance_id)
            if healing is Healing.ABORT:
                self._producer.abort_transaction()
                raise Undelivered(taken or str(error)) from error
            if taken is not None:
                raise Displaced(taken) from error
            raise
        self._trace("commit")

    def partitions(self, topic: str) -> set[int]:
        """See `Delivery.partitions`."""
        try:
            return set(self._producer.partitions_for(topic))
        except KafkaTimeoutError as error:
            raise Undelivered(f"{topic}: no answer") from error

    def close(self) -> None:
        """End the producer; nothing may be open."""
        self._producer.close(timeout=CLOSE_S)


class AtLeastOnce:
    """Outputs at once, for readers that see no transactions; then states and positions in one.

    What a crash repeats has the same ids. States and positions stay fenced: a worker that was
    stopped must not put its old states over those of its successor.

    Parameters
    ----------
    make : callable
        Returns an idempotent producer, for outputs.
    exactly : callable
        Makes what delivers states and positions.
    flush_s : float
        Longest wait for the acknowledgement of what was sent.
    """

    def __init__(
        self,
        make: Callable[[], KafkaProducer],
        exactly: Callable[[], ExactlyOnce],
        flush_s: float,
    ) -> None:
        self._make, self._flush_s = make, flush_s
        self._exactly = exactly()
        try:
            self._producer = make()
        except BaseException:
            self._exactly.close()  # whoever tries again makes another
            raise

    def deliver(
        self,
        outputs: Sequence[Message],
        states: Sequence[Message],
        offsets: Offsets,
        member: Any,
    ) -> None:
        """See `Delivery.deliver`."""
        try:
            send(self._producer, outputs, self._flush_s)
        except TooLarge:
            self._producer.close(timeout=CLOSE_S)  # refused for good by its own sequence numbers
            self._producer = self._make()
            raise
        except KafkaError as error:
            if classify(error) is Healing.FATAL_CONFIG:
                raise refusal(error) from error
            raise
        self._exactly.deliver([], states, offsets, member)

    def partitions(self, topic: str) -> set[int]:
        """See `Delivery.partitions`."""
        return self._exactly.partitions(topic)

    def close(self) -> None:
        """End both producers."""
        self._producer.close(timeout=CLOSE_S)
        self._exactly.close()


def send(producer: KafkaProducer, messages: Iterable[Message], flush_s: float) -> None:
    """Send messages and see every one acknowledged.

    In a transaction, without that, a commit that lost them returns normally.

    Raises
    ------
    TooLarge
        For its topic.
    KafkaError
        What the first that failed met; KafkaTimeoutError where that takes longer than ``flush_s``.
    """
    sent: list[tuple[str, Any]] = []
    for message in messages:
        try:
            future = producer.send(
                message.topic,
                message.value,
                key=message.key,
                headers=message.headers,
                partition=message.partition,
            )
        except MessageSizeTooLargeError as error:
            raise TooLarge(message.topic) from error
        except KafkaError:
            _look(sent)  # it may be refused for what an earlier one met
            raise
        sent.append((message.topic, future))
    try:
        producer.flush(timeout=flush_s)
    except KafkaError:
        _look(sent)
        raise
    _look(sent)
    for topic, future in sent:
        if not future.is_done:
            raise KafkaTimeoutError(f"no acknowledgement from {topic} in {flush_s} s")


def _look(sent: Iterable[tuple[str, Any]]) -> None:
    """Raise what the first failed message met."""
    for topic, future in sent:
        if future.failed():
            if isinstance(future.exception, MessageSizeTooLargeError):
                raise TooLarge(topic) from future.exception
            raise future.exception


def is_traced() -> bool:
    """Return whether every transaction's begin and end are to be logged."""
    return bool(os.environ.get(TRACED))
