"""Outputs as messages: CloudEvents 1.0 in binary mode, dead letters, states, activations.

Incident events and scores are CloudEvents by the Kafka protocol binding: the attributes stand
in ``ce_`` headers, the data in the value. Their ids depend on what they say alone, so that a
consumer may drop repeats by ``ce_id``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

import orjson

from stream_ad.config import KafkaConfig
from stream_ad.records import ActivationRecord
from stream_ad.transport.base import DEAD_LETTER_BYTES, DeadLetter, Outputs, ScoreRow, Told
from stream_ad.transport.kafka.activations import key_of
from stream_ad.windows.spec import rfc3339

Header = tuple[str, bytes]
INCIDENT_TYPE, SCORE_TYPE = "stream_ad.incident", "stream_ad.score"
LONGEST_KEY = 1_000  # bytes; a machine id of 249 letters has fewer


class Message(NamedTuple):
    """What a producer sends; without a partition the key chooses it.

    A value of None is a tombstone: compaction forgets the key.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[Header]
    partition: int | None = None


class Outgoing:
    """Turns outputs, machine states and activations into messages.

    Parameters
    ----------
    config : KafkaConfig
        ``topics`` and ``group_id`` are used; without ``topics.scores`` scores are not told.

    Examples
    --------
    >>> out = Outgoing(KafkaConfig(topics={"input": "plant"}))
    >>> letter = DeadLetter.of(7, b"{", "InvalidJson", "unexpected end of data")
    >>> [message] = out.messages(Outputs([], [], [letter]))
    >>> message.value, dict(message.headers)["source_offset"]
    (b'{', b'7')
    >>> out.state("press-1", None, partition=3)
    Message(topic='stream-ad.state', key=b'press-1', value=None, headers=[], partition=3)
    """

    def __init__(self, config: KafkaConfig) -> None:
        self._topics = config.topics
        self._source_topic = (config.topics.input or "").encode()
        self._all: list[Header] = [
            ("ce_specversion", b"1.0"),
            ("ce_source", f"/stream-ad/{quote(config.group_id, safe='')}".encode()),
            ("content-type", b"application/json"),
        ]
        self._every_score: list[Header] = [*self._all, ("ce_type", SCORE_TYPE.encode())]

    def messages(self, outputs: Outputs) -> Iterator[Message]:
        """Yield incident events, then scores, then dead letters, each in their order."""
        for told in outputs.incidents:
            yield self._incident(told)
        if self._topics.scores is not None:
            for row in outputs.scores:
                yield self._score(self._topics.scores, row)
        for letter in outputs.dead:
            yield self._dead(letter)

    def state(self, machine: str, record: bytes | None, partition: int) -> Message:
        """Return the message that stores a machine's state; None forgets the machine."""
        return Message(self._topics.state, machine.encode(), record, [], partition)

    def activation(self, record: ActivationRecord, partition: int) -> Message:
        """Return the message that keeps an activation, beside the states of its partition."""
        value = record.model_dump_json().encode()
        return Message(self._topics.state, key_of(record), value, [], partition)

    def _incident(self, told: Told) -> Message:
        event = told.event
        machine = event.machine_id.encode()
        headers = [
            *self._all,
            ("ce_type", f"{INCIDENT_TYPE}.{event.event}".encode()),
            ("ce_id", f"{event.incident_id}-{told.number}".encode()),
            ("ce_time", event.window_end.encode()),
            ("ce_subject", machine),
        ]
        return Message(self._topics.alerts, machine, event.model_dump_json().encode(), headers)

    def _score(self, topic: str, row: ScoreRow) -> Message:
        machine, start = row.machine_id.encode(), rfc3339(row.window_start)
        end = rfc3339(row.window_end)
        headers = [
            *self._every_score,
            ("ce_id", b"%s/%s" % (machine, start.encode())),
            ("ce_time", end.encode()),
            ("ce_subject", machine),
        ]
        record = {
            "machine_id": row.machine_id,
            "window_start": start,
            "window_end": end,
            "score": row.score,
            "p_value": row.p_value,
            "alarm": row.alarm,
            "static_score": row.static_score,
            "raw_score": row.raw_score,
            "incident_id": row.incident_id,
            "model_version": row.model_version,
        }
        return Message(topic, machine, orjson.dumps(record), headers)

    def _dead(self, letter: DeadLetter) -> Message:
        headers = [
            ("source_topic", self._source_topic),
            ("source_partition", b"%d" % letter.partition),
            ("source_offset", b"%d" % letter.offset),
            ("error_class", letter.error_class.encode()),
            ("error_message", letter.error_message.encode()),
            ("length", b"%d" % letter.length),
            ("sha256", letter.sha256.encode()),
        ]
        return Message(self._topics.dead_letter, letter.key, letter.value, headers)


def cut(message: Message) -> Message:
    """Return a dead letter that fits any topic: the first 64 kB of its value.

    ``length`` and ``sha256`` in its headers are those of the whole. A key beyond what a machine
    id may have is cut as well, and ``key_length`` says so: it too can exceed the limit of a
    topic.

    Parameters
    ----------
    message : Message
        One that a broker or the producer refused for its size.

    Examples
    --------
    >>> small = cut(Message("dead", b"k" * 2_000, b"v" * 100_000, []))
    >>> len(small.key), len(small.value), small.headers
    (1000, 64000, [('key_length', b'2000')])
    """
    key, value, headers = message.key, message.value, message.headers
    if key is not None and len(key) > LONGEST_KEY:
        headers = [*headers, ("key_length", b"%d" % len(key))]
        key = key[:LONGEST_KEY]
    if value is not None:
        value = value[:DEAD_LETTER_BYTES]
    return message._replace(key=key, value=value, headers=headers)
