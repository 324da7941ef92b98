"""Announcements of promotions on the models topic: who promotes tells, who scores follows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    LogTruncationError,
    OffsetOutOfRangeError,
)
from pydantic import ValidationError

from stream_ad.config import KafkaConfig
from stream_ad.errors import BrokerError
from stream_ad.records import ModelRecord
from stream_ad.transport.kafka.clients import reader
from stream_ad.transport.kafka.failures import sentence
from stream_ad.transport.kafka.outgoing import Message
from stream_ad.transport.kafka.patience import LONGEST_PAUSE_S, patiently
from stream_ad.transport.kafka.saying import say
from stream_ad.transport.kafka.waits import ANSWER_MS, CLOSE_S, PAUSE_S, POLL_MS

PARTITION = 0  # of one: announcements have an order
FOLLOW_MS = 200  # between two looks at the wish to end


def announcement(config: KafkaConfig, record: ModelRecord) -> Message:
    """Return the message that tells of a promotion; told again, it takes its own place.

    Examples
    --------
    >>> record = ModelRecord(machine_group="default", promotion=2, model_version=1,
    ...     card_sha256="0" * 64, effective_from="2024-01-01T00:00:00Z", reference=1, reason="")
    >>> announcement(KafkaConfig(), record)[:2]
    ('stream-ad.models', b'default/2')
    """
    key = f"{record.machine_group}/{record.promotion}".encode()
    return Message(config.topics.models, key, record.model_dump_json().encode(), [], PARTITION)


def announce(config: KafkaConfig, record: ModelRecord) -> None:
    """Tell of one promotion, for a command; returns when all replicas have it.

    Parameters
    ----------
    config : KafkaConfig
    record : ModelRecord
        Of a promotion that the registry has.

    Raises
    ------
    BrokerError
        It may not be told, or no broker takes it. The promotion stands; telling again is safe.
    """
    say(config, announcement(config, record), f"announcing promotion {record.promotion}")


def followed(
    config: KafkaConfig, ended: Callable[[], bool], log: Callable[[str], None]
) -> Iterator[list[ModelRecord]]:
    """Yield announcements as they are made, and now and then none, until ``ended``.

    All that is announced comes again after a trouble with the brokers, which are waited for
    however long they are away, and so is a topic that does not exist.

    Parameters
    ----------
    config : KafkaConfig
    ended : callable
        Looked at several times a second.
    log : callable
        Told of each new trouble in one sentence.
    """
    told, pause = "", config.retry_backoff_s
    while not ended():
        try:
            for records in _followed(config, ended, log):
                told, pause = "", config.retry_backoff_s
                yield records
        except (KafkaError, BrokerError) as error:
            why = sentence(error) if isinstance(error, KafkaError) else str(error)
            if why != told and not ended():
                log(f"announcements of detectors cannot be read: {why}; trying again")
            told = why
        latest = time.monotonic() + pause
        while time.monotonic() < latest and not ended():
            yield []
            time.sleep(PAUSE_S)
        pause = min(2 * pause, LONGEST_PAUSE_S)


def _followed(
    config: KafkaConfig, ended: Callable[[], bool], log: Callable[[str], None]
) -> Iterator[list[ModelRecord]]:
    doing = "following announcements of detectors"
    announcements = patiently(
        lambda: Announcements(config, log), doing, config, until=ended, log=log
    )
    try:
        if not announcements.is_there():
            topic, makes = config.topics.models, "`stream-ad topics create` makes it"
            raise BrokerError(f"topic {topic} does not exist ({makes})")
        while not ended():
            yield announcements.poll(FOLLOW_MS)
    finally:
        announcements.close()


class Announcements:
    """Follows the models topic, from its beginning.

    Parameters
    ----------
    config : KafkaConfig
    log : callable, optional
        Told of records that are no announcements.

    Raises
    ------
    KafkaTimeoutError
        No broker answers; see `patiently`.

    Notes
    -----
    A topic that does not exist has no announcements, until it is made.
    """

    def __init__(self, config: KafkaConfig, log: Callable[[str], None] = lambda _: None) -> None:
        self._place, self._log = TopicPartition(config.topics.models, PARTITION), log
        self._consumer: KafkaConsumer = reader(config)
        self._consumer.assign([self._place])
        self._consumer.seek(self._place, 0)

    def poll(self, timeout_ms: int = POLL_MS) -> list[ModelRecord]:
        """Wait for announcements; return them in the order in which they were made.

        Raises
        ------
        KafkaError
            The client has to be made anew, or READ is missing.
        """
        try:
            found = self._consumer.poll(timeout_ms=timeout_ms)
        except (OffsetOutOfRangeError, LogTruncationError):  # made anew, or its head is gone
            self._consumer.seek_to_beginning(self._place)
            return []
        return [*self._read(found.get(self._place, []))]

    def so_far(self) -> list[ModelRecord]:
        """Return all that was announced up to now, from where it was read last.

        Raises
        ------
        KafkaError
            As `poll`; KafkaTimeoutError also where the topic does not exist.
        """
        end = self._consumer.end_offsets([self._place], timeout_ms=ANSWER_MS)[self._place]
        latest = time.monotonic() + ANSWER_MS / 1000
        found: list[ModelRecord] = []
        # positions, not records: markers and aborted ones are passed over without being seen
        while self._consumer.position(self._place, timeout_ms=ANSWER_MS) < end:
            found += self.poll()
            if time.monotonic() > latest:
                raise KafkaTimeoutError(f"{self._place.topic}: no announcements, though there are")
        return found

    def is_there(self) -> bool:
        """Return whether the topic exists, as far as the brokers say now."""
        return PARTITION in (self._consumer.partitions_for_topic(self._place.topic) or ())

    def close(self) -> None:
        """End the consumer."""
        self._consumer.close(timeout_ms=round(CLOSE_S * 1000))

    def _read(self, rows: list[Any]) -> Iterator[ModelRecord]:
        for row in rows:
            if row.value is None:
                continue  # somebody took it back; what is loaded stays
            try:
                yield ModelRecord.model_validate_json(row.value)
            except ValidationError as error:
                where = f"topic {self._place.topic}, offset {row.offset}"
                self._log(f"{where}: no announcement: {error.errors()[0]['msg']}")
