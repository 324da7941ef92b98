"""Activations: told apart from every machine's state, written once, read back as they counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream_ad.config import KafkaConfig, TopicsConfig
from stream_ad.errors import StateError
from stream_ad.records import ActivationRecord
from stream_ad.transport.base import Outputs
from stream_ad.transport.kafka.activations import (
    Course,
    Recorded,
    is_activation,
    key_of,
    last,
)
from stream_ad.transport.kafka.ledger import Mark
from stream_ad.transport.kafka.outgoing import Message, Outgoing
from stream_ad.transport.kafka.restore import StateReader
from stream_ad.transport.kafka.sink import KafkaSink
from stream_ad.versions import Version
from tests.kafka.fixtures import CreateTopic
from tests.kafka.place import Place, placed

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=249)
LOOKALIKE = '["activation","default",40]'


def activation(promotion: int, first_offset: int, group: str = "default") -> ActivationRecord:
    return ActivationRecord(
        machine_group=group, promotion=promotion, model_version=1, first_offset=first_offset
    )


def version(promotion: int) -> Version:
    return Version(SimpleNamespace(), 7, 0, promotion=promotion)


# ------------------------------------------------------------------ keys


@given(names, names, st.integers(0, 2**63 - 1))
@example(LOOKALIKE, "default", 40)
@example("\xff" + LOOKALIKE, "default", 40)
@example("\ufeff" + LOOKALIKE, "default", 40)
def test_no_machine_has_the_key_of_an_activation(machine: str, group: str, offset: int) -> None:
    """Whatever a machine is called, its key is UTF-8, and that of an activation never is."""
    key = Outgoing(KafkaConfig()).state(machine, b"", 0).key
    assert key is not None
    assert not is_activation(key)
    activations = key_of(activation(1, offset, group))
    assert is_activation(activations)
    with pytest.raises(UnicodeDecodeError):
        activations.decode()


@given(names, names, st.integers(0, 99), st.integers(0, 99))
def test_activations_of_other_groups_and_offsets_have_other_keys(
    group: str, other: str, offset: int, later: int
) -> None:
    same = key_of(activation(1, offset, group)) == key_of(activation(2, later, other))
    assert same == ((group, offset) == (other, later))


def test_an_activation_goes_to_the_partition_of_its_input() -> None:
    out = Outgoing(KafkaConfig(topics=TopicsConfig(input="in", state="st")))
    message = out.activation(activation(3, 40), 5)
    value = b'{"machine_group":"default","promotion":3,"model_version":1,"first_offset":40}'
    assert message == Message("st", b'\xff["activation","default",40]', value, [], 5)


# ------------------------------------------------------------------ what is written


def told(recorded: Recorded, partition: int, promotion: int, offset: int) -> list[tuple[int, int]]:
    records = recorded.next(partition, [version(promotion)], offset)
    assert all((one.machine_group, one.model_version) == ("default", 7) for one in records)
    return [(one.promotion, one.first_offset) for one in records]


def test_each_promotion_is_written_once_in_each_partition() -> None:
    recorded = Recorded()
    recorded.take_over(0, {})
    recorded.take_over(1, {"default": 2})
    assert told(recorded, 0, 2, 10) == [(2, 10)]
    assert told(recorded, 0, 2, 20) == []
    assert told(recorded, 1, 2, 20) == []
    assert told(recorded, 1, 3, 30) == [(3, 30)]


def test_groups_are_written_apart() -> None:
    recorded = Recorded()
    recorded.take_over(0, {"default": 2})
    both = [version(2), replace(version(1), model_id="presses")]
    (record,) = recorded.next(0, both, 5)
    assert (record.machine_group, record.promotion) == ("presses", 1)


def test_a_partition_that_was_released_is_written_again_where_its_records_say_less() -> None:
    recorded = Recorded()
    recorded.take_over(0, {"default": 1})
    assert told(recorded, 0, 2, 10) == [(2, 10)]
    recorded.release(0)
    recorded.take_over(0, {"default": 1})  # what was written was never committed
    assert told(recorded, 0, 2, 5) == [(2, 5)]


def test_a_version_that_nobody_promoted_is_not_written() -> None:
    recorded = Recorded()
    recorded.take_over(0, {})
    assert told(recorded, 0, 0, 10) == []


class Kept:
    """A delivery that keeps what it gets."""

    def __init__(self) -> None:
        self.states: list[Message] = []

    def deliver(self, outputs: Any, states: Any, offsets: Any, member: Any) -> None:
        self.states += states

    def partitions(self, topic: str) -> set[int]:
        return {0}

    def close(self) -> None:
        pass


def test_an_activation_is_delivered_with_the_states_and_positions_of_its_batch() -> None:
    delivery = Kept()
    config = KafkaConfig(topics=TopicsConfig(input="in"))
    sink = KafkaSink(config, delivery)
    sink.take_over(0, Mark())
    held = SimpleNamespace(position=9, records={}, touched={})
    sink.commit(Outputs([], [], []), {0: held}, {0: [activation(3, 4)]})
    sink.commit(Outputs([], [], []), {0: held})
    assert [message.key for message in delivery.states] == [key_of(activation(3, 4))]


# ------------------------------------------------------------------ what is read back

lives = st.lists(  # of a topic under one name: in each, offsets and promotions only grow
    st.lists(st.tuples(st.integers(1, 12), st.sampled_from("ab")), max_size=5, unique=True).map(
        sorted
    ),
    max_size=4,
)
Row = tuple[str, int, int]


def rows_of(lives: list[list[tuple[int, str]]]) -> list[Row]:
    """Return group, first offset and promotion, as they lie in the topic."""
    firsts = [one for life in lives for one in life]
    return [(group, first, number) for number, (first, group) in enumerate(firsts, 1)]


def counting(rows: list[Row], offset: int) -> dict[str, int] | None:
    """Say what counts at an offset; a row stands unless a later one lies at its offset or before.

    Before the first row counts what that says.
    """
    standing = [
        one
        for at, one in enumerate(rows)
        if not any(later[0] == one[0] and later[1] <= one[1] for later in rows[at + 1 :])
    ]
    if not standing:
        return None
    offset = max(offset, min(first for _, first, _ in standing))
    before = sorted((first, group, number) for group, first, number in standing if first <= offset)
    return {group: number for _, group, number in before}


@given(lives, st.integers(0, 15))
@example([[(5, "a"), (5, "b")], [(5, "b"), (9, "a")]], 5)
def test_what_counts_at_an_offset_is_what_the_last_topic_of_the_name_said_of_each_group(
    lives: list[list[tuple[int, str]]], offset: int
) -> None:
    rows = rows_of(lives)
    assert Course(rows).at(offset) == counting(rows, offset)


@given(lives, st.integers(0, 15), st.integers(0, 15))
def test_what_counts_in_a_range_is_what_counts_at_any_of_its_offsets(
    lives: list[list[tuple[int, str]]], start: int, end: int
) -> None:
    rows = rows_of(lives)
    found = [counting(rows, offset) or {} for offset in range(start, end)]
    groups = {group for now in found for group in now}
    wanted = {group: {now[group] for now in found if group in now} for group in groups}
    assert Course(rows).between(start, end) == wanted


@given(lives, st.sampled_from("ab"), st.integers(0, 15))
def test_a_later_promotion_counts_from_the_first_offset_at_which_it_does(
    lives: list[list[tuple[int, str]]], group: str, promotion: int
) -> None:
    rows = rows_of(lives)
    starts = sorted({first for _, first, _ in rows})
    later = [at for at in starts if (counting(rows, at) or {}).get(group, 0) > promotion]
    assert Course(rows).beyond(group, promotion) == next(iter(later), None)


def test_the_promotion_that_counts_last_is_the_one_written_last() -> None:
    records = [activation(57, 900), activation(2, 4, "other"), activation(1, 950)]
    assert last(records) == {"default": 1, "other": 2}
    assert last([]) == {}


@pytest.fixture
def place(kafka: str, create_topic: CreateTopic, unique: Callable[[str], str]) -> Iterator[Place]:
    with placed(kafka, create_topic, unique("group"), partitions=2) as place:
        yield place


def test_states_and_activations_are_told_apart_whatever_machines_are_called(place: Place) -> None:
    out, odd = Outgoing(place.config), "\xff" + LOOKALIKE
    producer = place.producer()
    producer.init_transactions()
    producer.begin_transaction()
    for message in (
        out.state(LOOKALIKE, b"1", 0),
        out.activation(activation(1, 40), 0),
        out.state(odd, b"2", 0),
        out.activation(activation(2, 50), 0),
        out.activation(activation(2, 7), 1),
        out.state(LOOKALIKE, None, 0),
    ):
        producer.send(message.topic, message.value, key=message.key, partition=message.partition)
    producer.flush()
    producer.commit_transaction()
    reader = StateReader(place.config, lambda: None)
    try:
        found = reader.read([0, 1])
        assert found[0].states == {odd: b"2"}
        assert found[0].activations == [activation(1, 40), activation(2, 50)]
        assert (found[1].states, found[1].activations) == ({}, [activation(2, 7)])
        # a record that lost its value, or was written by somebody else
        producer.begin_transaction()
        producer.send(place.config.topics.state, b"{}", key=key_of(activation(3, 60)), partition=1)
        producer.flush()
        producer.commit_transaction()
        with pytest.raises(StateError, match=r"partition 1, offset \d+: an activation that cannot"):
            reader.read([1])
    finally:
        reader.close()


def test_an_activation_says_what_its_schema_says() -> None:
    message = Outgoing(KafkaConfig()).activation(activation(3, 40), 0)
    assert message.value is not None
    assert ActivationRecord.model_validate(orjson.loads(message.value)) == activation(3, 40)
