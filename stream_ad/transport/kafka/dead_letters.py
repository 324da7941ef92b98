"""The newest dead letters of the topic, for a person to look at."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from stream_ad.errors import BrokerError
from stream_ad.windows.spec import rfc3339

HEAD = 80  # bytes of a value that are shown
SILENCE_S = 30.0


@dataclass(frozen=True)
class Letter:
    """A dead letter: where it lies, whence it came and why.

    What its headers do not say is None: anybody may write to a topic. ``length`` is that of the
    original, which may have been cut. ``head`` is the beginning of the value, printable.
    """

    written: str
    partition: int
    offset: int
    source_topic: str | None
    source_partition: int | None
    source_offset: int | None
    error_class: str | None
    error_message: str | None
    length: int | None
    sha256: str | None
    head: str


def newest(consumer: KafkaConsumer, topic: str, limit: int) -> list[Letter]:
    """Return the newest dead letters, the newest last.

    Parameters
    ----------
    consumer : KafkaConsumer
        Without a group; it is given the topic's partitions.
    topic : str
        Of the dead letters.
    limit : int
        Most of them.

    Raises
    ------
    BrokerError
        There is no such topic, or the brokers stop answering.
    """
    numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        raise BrokerError(f"topic {topic} does not exist, or this user may not read it")
    found: list[tuple[int, Letter]] = []
    for number in sorted(numbers):
        found += _last(consumer, TopicPartition(topic, number), limit)
    found.sort(key=lambda pair: (pair[0], pair[1].partition, pair[1].offset))
    return [letter for _, letter in found[-limit:]]


def _last(consumer: KafkaConsumer, place: TopicPartition, limit: int) -> Iterable[Any]:
    consumer.assign([place])
    first, end = consumer.beginning_offsets([place])[place], consumer.end_offsets([place])[place]
    span = 2 * limit  # offsets are not all records: each transaction takes one for itself
    while True:
        start = max(first, end - span)
        kept = _read(consumer, place, start, end, limit)
        if len(kept) == limit or start == first:
            return kept
        span *= 4


def _read(
    consumer: KafkaConsumer, place: TopicPartition, start: int, end: int, limit: int
) -> deque[tuple[int, Letter]]:
    kept: deque[tuple[int, Letter]] = deque(maxlen=limit)
    consumer.seek(place, start)
    heard = time.monotonic()
    position = start
    while position < end:
        for records in consumer.poll(500).values():
            kept.extend((r.timestamp, _letter(r)) for r in records if r.offset < end)
        if consumer.position(place) > position:
            position, heard = consumer.position(place), time.monotonic()
        elif time.monotonic() - heard > SILENCE_S:
            raise BrokerError(f"topic {place.topic}: the brokers stopped answering")
    return kept


def _letter(record: Any) -> Letter:
    said = {key: (value or b"").decode("utf-8", "replace") for key, value in record.headers}
    return Letter(
        written=rfc3339(record.timestamp * 1_000_000),
        partition=record.partition,
        offset=record.offset,
        source_topic=said.get("source_topic"),
        source_partition=_number(said.get("source_partition")),
        source_offset=_number(said.get("source_offset")),
        error_class=said.get("error_class"),
        error_message=said.get("error_message"),
        length=_number(said.get("length")),
        sha256=said.get("sha256"),
        head=printable((record.value or b"")[:HEAD].decode("utf-8", "backslashreplace")),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def line(letter: Letter) -> str:
    """Say a dead letter in one line, safe for a terminal."""
    source = f"{letter.source_topic} {letter.source_partition}:{letter.source_offset}"
    cause = f"{letter.error_class}: {letter.error_message}"
    place = f"{letter.written}  {letter.partition}:{letter.offset}"
    return printable(f"{place}  from {source}  {cause}  {letter.length} bytes: {letter.head}")


def printable(text: str) -> str:
    r"""Write out what a terminal would act upon instead of showing it.

    Examples
    --------
    >>> printable("a\x1b[2J é")
    'a\\x1b[2J é'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
