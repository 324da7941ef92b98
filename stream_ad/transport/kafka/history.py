"""A topic between two record times as a source: read once more, in an order that repeats."""

from __future__ import annotations

import hashlib
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import dropwhile, pairwise, takewhile
from typing import Any

import orjson
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from stream_ad.config import Config, KafkaConfig
from stream_ad.errors import BrokerError, ConfigError, InputError
from stream_ad.transport.base import Batch, DeadLetter
from stream_ad.transport.decode import Decoder
from stream_ad.transport.kafka.activations import Course
from stream_ad.transport.kafka.clients import reader
from stream_ad.transport.kafka.delivery import Undelivered
from stream_ad.transport.kafka.failures import refusal
from stream_ad.transport.kafka.patience import once, patiently
from stream_ad.transport.kafka.restore import StateReader
from stream_ad.windows.spec import WindowSpec

BEGINNING, END = "beginning", "end"
POLL_MS, PATIENCE_S = 500, 60.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets of one partition, from ``start`` to before ``end``, that hold the range."""

    partition: int
    start: int
    end: int


class TopicRange:
    """The committed records of a topic from one record time to before another.

    Partition after partition, each in order of offset, and positions number the records in
    that order: however often the range is read, a position means the same record. In each
    partition the range begins at the first record with its time or a later one, and ends
    before the first after that with the other time or a later one.

    Parameters
    ----------
    config : Config
        ``kafka``, ``input`` and ``limits`` are used.
    spec : WindowSpec
    topic : str
    since, until : str
        Kafka's timestamps of records in RFC 3339; or ``beginning``, ``end``: what is committed
        now.

    Attributes
    ----------
    spans : tuple of Span
        By partition.
    begins_later : bool
        Whether records before the range exist, or did.
    courses : dict of int to Course
        What counted where in the live run, by partition, as far as it is followed.

    Raises
    ------
    ConfigError
        For a time that cannot be used.
    BrokerError
        For brokers that do not answer or refuse.
    InputError
        For a topic that does not exist, or is empty from there on.
    """

    def __init__(
        self, config: Config, spec: WindowSpec, topic: str, since: str = BEGINNING, until: str = END
    ) -> None:
        self.title = topic
        self._config, self._topic = config, topic
        self._times = since, until
        self._decoder = Decoder(config.input, config.limits, spec)
        first, last = millis("--from-time", since), millis("--to-time", until)
        if first is not None and last is not None and last <= first:
            raise ConfigError("--to-time", until, f"a time after --from-time, {since}")
        self._first, self._last = first, last
        with self._consumer() as consumer:
            partitions = self._partitions(consumer)
            self.spans = tuple(_spans(consumer, partitions, first))
            self._about = self._likely(consumer, partitions)
        if all(span.start == span.end for span in self.spans):
            raise self._empty()
        self.begins_later = any(span.start > 0 for span in self.spans)
        self.courses: dict[int, Course] = {}

    def identity(self) -> str:
        """Return a digest of topic and times; `pin` makes sure of the offsets."""
        return hashlib.sha256(orjson.dumps([self._topic, *self._times])).hexdigest()[:32]

    def offsets(self) -> list[list[int]]:
        """Return the spans as JSON values, for `pin`."""
        return [[span.partition, span.start, span.end] for span in self.spans]

    def pin(self, offsets: Sequence[Sequence[int]]) -> None:
        """Read the offsets of an earlier run, whatever arrived since.

        Raises
        ------
        InputError
            Where the topic no longer has all of them.
        """
        spans = tuple(Span(*map(int, span)) for span in offsets)
        with self._consumer() as consumer:
            partitions = [TopicPartition(self._topic, span.partition) for span in spans]
            firsts = consumer.beginning_offsets(partitions)
            ends = consumer.end_offsets(partitions)
        for tp, span in zip(partitions, spans, strict=True):
            if span.start < span.end and not firsts[tp] <= span.start < span.end <= ends[tp]:
                raise self._gone(tp)
        self.spans = spans

    def activations(self) -> dict[str, list[tuple[str, int, int]]]:
        """Return what the live run wrote by partition, for `follow`, as JSON values.

        Raises
        ------
        BrokerError
            The state topic does not exist or may not be read, or brokers do not answer.
        StateError
            One of them cannot be read.
        """
        kafka, wanted = self._config.kafka, [span.partition for span in self.spans]
        doing = f"reading activations from topic {kafka.topics.state}"
        with _state_reader(kafka, doing) as reader:
            there = set(wanted) - reader.missing(wanted)
            if not there:
                topic = kafka.topics.state
                raise BrokerError(f"topic {topic} does not exist, or this user may not see it")
            found = reader.activations(there)
        return {
            str(partition): [
                (one.machine_group, one.first_offset, one.promotion) for one in records
            ]
            for partition, records in found.items()
        }

    def follow(self, activations: Mapping[str, Iterable[tuple[str, int, int]]]) -> None:
        """Say of each batch which promotions counted for it, and let none begin within one."""
        self.courses = {int(partition): Course(rows) for partition, rows in activations.items()}

    def counted(self) -> dict[str, set[int]]:
        """Return the promotions of each group that counted in the range, as far as is known."""
        found: dict[str, set[int]] = {}
        for span in self.spans:
            for group, numbers in self._course(span).between(span.start, span.end).items():
                found.setdefault(group, set()).update(numbers)
        return found

    def time_beyond(self, group: str, promotion: int) -> int | None:
        """Return the record time in ms from which on only later promotions of a group count.

        None where there is none in the range: somewhere it, or one before it, counts to the end.
        """
        times: list[int] = []
        with self._consumer() as consumer:
            for span in self.spans:
                course = self._course(span)
                counted = course.between(span.start, span.end).get(group, {promotion + 1})
                if min(counted) > promotion:
                    continue
                first = course.beyond(group, promotion)
                later = replace(span, start=span.end if first is None else first)
                records = next(self._records(consumer, later), None)
                if records is None:
                    return None
                times.append(records[0].timestamp)
        return max(times, default=None)

    def _course(self, span: Span) -> Course:
        return self.courses.get(span.partition) or Course()

    def rows(self) -> int:
        """Return about how many records there are; markers of transactions count as well."""
        return self._about

    def batches(self, position: int = 0) -> Iterator[Batch]:
        """Yield the records from a position on; those before it are read, not decoded.

        Raises
        ------
        InputError
            For records that were deleted meanwhile.
        BrokerError
            For brokers that stop answering.
        """
        after = 0
        homes: dict[str, int] = {}
        with self._consumer() as consumer:
            for span in self.spans:
                course = self._course(span)
                for records in self._parts(consumer, span):
                    before, after = after, after + len(records)
                    if after > position:
                        batch = self._batch(records[max(0, position - before) :], after)
                        batch = _with_strays(batch, span.partition, homes)
                        yield replace(batch, promotions=course.at(records[0].offset))
        if not after:
            raise self._empty()

    def _parts(self, consumer: KafkaConsumer, span: Span) -> Iterator[list[Any]]:
        """Yield records so that for all of a part the same promotions count."""
        starts = self._course(span).starts
        for records in self._records(consumer, span):
            offsets = [record.offset for record in records]
            inner = {bisect_left(offsets, start) for start in starts} - {0, len(records)}
            for first, end in pairwise([0, *sorted(inner), len(records)]):
                yield records[first:end]

    def _records(self, consumer: KafkaConsumer, span: Span) -> Iterator[list[Any]]:
        tp = TopicPartition(self._topic, span.partition)
        consumer.assign([tp])
        consumer.seek(tp, span.start)
        # positions, not records: markers of transactions are passed over without being seen
        place, patience = span.start, time.monotonic() + PATIENCE_S
        begun = self._first is None
        while place < span.end:
            records = consumer.poll(timeout_ms=POLL_MS).get(tp, [])
            if not begun:
                records = [*dropwhile(lambda record: record.timestamp < self._first, records)]
                begun = bool(records)
            wanted = [*takewhile(lambda record: self._holds(record, span), records)]
            if wanted:
                yield wanted
            if len(wanted) < len(records):
                return
            now = consumer.position(tp)
            if now > place:
                place, patience = now, time.monotonic() + PATIENCE_S
            elif time.monotonic() > patience:
                where = f"topic {self._topic}, partition {span.partition}, offset {place}"
                raise BrokerError(
                    f"{where}: no records for {PATIENCE_S:g} s, though there are some"
                )

    def _holds(self, record: Any, span: Span) -> bool:
        early = self._last is None or record.timestamp < self._last
        return bool(early and record.offset < span.end)

    def _batch(self, records: list[Any], after: int) -> Batch:
        first = after - len(records)
        values = [(first + at, record.value) for at, record in enumerate(records)]
        envelopes = None
        if self._decoder.needs_envelope:
            envelopes = [(record.key, record.headers) for record in records]
        batch = self._decoder.decode(values, after, envelopes)
        return replace(
            batch, dead=[_placed(dead, records[dead.offset - first]) for dead in batch.dead]
        )

    def _likely(self, consumer: KafkaConsumer, partitions: list[TopicPartition]) -> int:
        ends = {tp: span.end for tp, span in zip(partitions, self.spans, strict=True)}
        if self._last is not None:
            ends = _offsets_at(consumer, partitions, self._last, ends)
        pairs = zip(ends.values(), self.spans, strict=True)
        return max(1, sum(max(0, min(end, span.end) - span.start) for end, span in pairs))

    def _partitions(self, consumer: KafkaConsumer) -> list[TopicPartition]:
        known = consumer.partitions_for_topic(self._topic)
        if not known:
            raise InputError(f"topic {self._topic} does not exist, or this user may not see it")
        return [TopicPartition(self._topic, number) for number in sorted(known)]

    @contextmanager
    def _consumer(self) -> Iterator[KafkaConsumer]:
        kafka = self._config.kafka
        with once(lambda: reader(kafka), f"reading topic {self._topic}", kafka) as consumer:
            try:
                yield consumer
            except OffsetOutOfRangeError as error:
                raise self._gone(next(iter(error.args[0]))) from error

    def _empty(self) -> InputError:
        since, until = self._times
        return InputError(
            f"topic {self._topic} has no records from {since} to {until} by the timestamps that "
            "Kafka keeps of them (--from-time, --to-time), which are not the times within"
        )

    def _gone(self, tp: TopicPartition) -> InputError:
        return InputError(
            f"topic {self._topic}, partition {tp.partition}: the brokers no longer have all "
            "records of the range (retention); start with a later --from-time, into another folder"
        )


@contextmanager
def _state_reader(config: KafkaConfig, doing: str) -> Iterator[StateReader]:
    reader = patiently(
        lambda: StateReader(config, lambda: None),
        doing,
        config,
        until=lambda: True,
        log=lambda _: None,
    )
    try:
        yield reader
    except Undelivered as error:
        raise BrokerError(f"{doing}: {error}") from error
    except KafkaError as error:
        raise refusal(error) from error
    finally:
        reader.close()


def millis(option: str, text: str) -> int | None:
    """Return a time as milliseconds since the epoch; None for the two ends of a topic.

    Parameters
    ----------
    option : str
        For the error.
    text : str

    Raises
    ------
    ConfigError
        For anything else than RFC 3339 with a zone.

    Examples
    --------
    >>> millis("--from-time", "1970-01-01T01:00:00.5+01:00"), millis("--to-time", "end")
    (500, None)
    """
    if text == (BEGINNING if option == "--from-time" else END):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or len(text) < len("2024-01-01T00:00Z"):
        other = BEGINNING if option == "--from-time" else END
        raise ConfigError(option, text, f"a time such as 2024-01-01T00:00:00Z, or {other}")
    return -((_EPOCH - moment) // timedelta(milliseconds=1))  # rounded up: no record lies between


def _spans(
    consumer: KafkaConsumer, partitions: list[TopicPartition], first: int | None
) -> Iterator[Span]:
    begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    starts = begins if first is None else _offsets_at(consumer, partitions, first, ends)
    for tp in partitions:
        yield Span(tp.partition, min(max(starts[tp], begins[tp]), ends[tp]), ends[tp])


def _offsets_at(
    consumer: KafkaConsumer,
    partitions: list[TopicPartition],
    moment: int,
    otherwise: dict[TopicPartition, int],
) -> dict[TopicPartition, int]:
    """Return where a time may begin: never too late, but markers have times of their own."""
    found = consumer.offsets_for_times(dict.fromkeys(partitions, max(0, moment)))
    return {tp: otherwise[tp] if found[tp] is None else found[tp].offset for tp in partitions}


def _placed(letter: DeadLetter, record: Any) -> DeadLetter:
    return replace(letter, offset=record.offset, partition=record.partition, key=record.key)


def _with_strays(batch: Batch, partition: int, homes: dict[str, int]) -> Batch:
    """Count machines that had records in another partition, where they have another past."""
    counts = Counter(batch.counts)
    for machine in set(batch.records.machine):
        if homes.setdefault(machine, partition) != partition:
            homes[machine] = partition
            counts["machine_in_two_partitions"] += 1
    return replace(batch, counts=counts)
