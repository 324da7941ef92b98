"""Outputs, states and positions are kept together, or none is; and whoever hangs comes back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from stream_ad.errors import BrokerError
from stream_ad.transport.base import DeadLetter, Outputs, Touched
from stream_ad.transport.kafka.delivery import AtLeastOnce, ExactlyOnce, TooLarge, Undelivered
from stream_ad.transport.kafka.ledger import Mark
from stream_ad.transport.kafka.outgoing import Message
from stream_ad.transport.kafka.sink import KafkaSink
from tests.kafka.clients import committed
from tests.kafka.fixtures import CreateTopic
from tests.kafka.place import Place, placed

LARGE = 400_000


@pytest.fixture
def place(kafka: str, create_topic: CreateTopic, unique: Callable[[str], str]) -> Iterator[Place]:
    with placed(kafka, create_topic, unique("group")) as place:
        yield place


def paused_before_the_last_send(producer: KafkaProducer, seconds: float) -> Any:
    """Let the last message of a transaction come after it timed out at the broker."""
    send, calls = producer.send, []

    def slowly(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            producer.flush()
            time.sleep(seconds)
        return send(*arguments, **named)

    return mock.patch.object(producer, "send", slowly)


# ---------------------------------------------------------------- rule 1: look at every send


def test_a_commit_of_the_bare_client_returns_although_everything_is_lost(place: Place) -> None:
    """The fault that `ExactlyOnce` guards against."""
    producer = place.producer()
    producer.init_transactions()
    with paused_before_the_last_send(producer, 4):
        producer.begin_transaction()
        producer.send(place.out, b"first")
        producer.send(place.out, b"last")
        producer.commit_transaction()
    assert place.told() == []


def test_a_transaction_that_timed_out_is_an_error_and_a_new_one_goes_on(place: Place) -> None:
    member = place.member()
    first = place.exactly_once()
    with (
        paused_before_the_last_send(place.producers[-1], 4),
        pytest.raises((Undelivered, KafkaError)),
    ):
        first.deliver(
            place.messages(b"first", b"last"), [], place.offsets(5), member.group_metadata()
        )
    assert place.told() == []
    assert place.saved() is None

    second = place.exactly_once()
    second.deliver(place.messages(b"again"), [], place.offsets(5), member.group_metadata())
    assert place.told() == [b"again"]
    assert place.saved() == 5


def test_a_producer_that_gets_no_transactions_is_closed() -> None:
    producer = mock.Mock(spec_set=KafkaProducer)
    producer.init_transactions.side_effect = KafkaTimeoutError()
    with pytest.raises(KafkaTimeoutError):
        ExactlyOnce(lambda: producer, 1.0)
    producer.close.assert_called_once_with(timeout=0)


def test_no_producer_is_left_where_the_second_cannot_be_made() -> None:
    first = mock.Mock(spec_set=KafkaProducer)
    plain = mock.Mock(side_effect=KafkaTimeoutError())
    with pytest.raises(KafkaTimeoutError):
        AtLeastOnce(plain, lambda: ExactlyOnce(lambda: first, 1.0), 1.0)
    first.close.assert_called_once()


# -------------------------------------------------- rule 2: positions go with every transaction


def test_positions_are_kept_with_outputs_and_without(place: Place) -> None:
    member, once = place.member(), place.exactly_once()
    for offset, messages in ((3, place.messages(b"x")), (7, []), (9, [])):
        once.deliver(messages, [], place.offsets(offset), member.group_metadata())
        assert place.saved() == offset
    assert place.told() == [b"x"]


def test_an_abort_keeps_neither_outputs_nor_states_nor_positions(place: Place) -> None:
    member, once = place.member(), place.exactly_once()
    once.deliver(place.messages(b"kept"), [], place.offsets(1), member.group_metadata())
    state = Message(place.config.topics.state, b"m", letter(LARGE), [], 0)
    with pytest.raises(TooLarge) as raised:
        once.deliver(place.messages(b"x"), [state], place.offsets(2), member.group_metadata())
    assert raised.value.topic == place.config.topics.state
    assert (place.told(), place.saved()) == ([b"kept"], 1)
    once.deliver(place.messages(b"y"), [], place.offsets(2), member.group_metadata())
    assert (place.told(), place.saved()) == ([b"kept", b"y"], 2)


# ------------------------------------------------------------------ sizes


def letter(n: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(n)  # that no compression makes smaller


def sink(place: Place, once: ExactlyOnce, member: KafkaConsumer) -> KafkaSink:
    made = KafkaSink(place.config, once)
    made.take_over(0, Mark(-1, 1))
    made.member = member.group_metadata()
    return made


@dataclass
class Machines:
    """What a sink needs of a partition."""

    position: int
    records: dict[str, bytes] = field(default_factory=dict)
    touched: dict[str, Touched] = field(default_factory=dict)


def commit(sink: KafkaSink, letters: Sequence[bytes], position: int = 1) -> None:
    """Commit dead letters; try again once, as the worker does after reading again."""
    dead = [DeadLetter.of(n, v, "InvalidJson", "no", keep=1 << 20) for n, v in enumerate(letters)]
    try:
        sink.commit(Outputs([], [], dead), {0: Machines(position)})
    except Undelivered:
        sink.commit(Outputs([], [], dead), {0: Machines(position)})


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([LARGE], id="alone"),
        pytest.param([LARGE, *[3_000] * 300], id="before many others"),
        pytest.param([*[3_000] * 300, LARGE], id="after many others"),
        pytest.param([LARGE] * 3, id="several"),
    ],
)
def test_a_dead_letter_too_large_for_its_topic_is_cut_and_the_run_goes_on(
    place: Place, sizes: list[int]
) -> None:
    member = place.member()
    letters = [letter(size, seed) for seed, size in enumerate(sizes)]
    commit(sink(place, place.exactly_once(), member), letters)
    found = committed(place.config.bootstrap_servers[0], place.config.topics.dead_letter)
    assert sorted(found) == sorted(value[:64_000] for value in letters)
    assert place.saved() == 1


def test_letters_that_are_too_large_together_are_delivered(place: Place) -> None:
    """No batch of the client is larger than the smallest topic that a worker starts with."""
    member = place.member()
    letters = [letter(60_000, seed) for seed in range(20)]
    commit(sink(place, place.exactly_once(), member), letters)
    found = committed(place.config.bootstrap_servers[0], place.config.topics.dead_letter)
    assert sorted(found) == sorted(letters)


def test_a_state_too_large_for_its_topic_stops_the_service_and_names_the_topic(
    place: Place,
) -> None:
    member = place.member()
    made = sink(place, place.exactly_once(), member)
    machines = Machines(1, {"m": letter(LARGE)}, {"m": Touched(0, closed=True)})
    with pytest.raises(BrokerError, match=place.config.topics.state):
        made.commit(Outputs([], [], []), {0: machines})
