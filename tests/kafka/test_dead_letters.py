"""``stream-ad dlq list``: the newest dead letters, whatever lies between and in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from stream_ad.cli.app import app
from stream_ad.config import KafkaConfig
from stream_ad.errors import BrokerError
from stream_ad.transport.base import DeadLetter, Outputs
from stream_ad.transport.kafka.outgoing import Message, Outgoing
from tests.kafka.fixtures import CreateTopic


def letter(value: bytes, offset: int, message: str = "not a number") -> DeadLetter:
    return DeadLetter(offset, value, len(value), "ab" * 32, "InvalidValue", message, 2, b"m")


def told(topic: str, letters: list[DeadLetter]) -> list[Message]:
    config = KafkaConfig.model_validate({"topics": {"input": "plant", "dead_letter": topic}})
    return list(Outgoing(config).messages(Outputs([], [], letters)))


def send(producer: KafkaProducer, message: Message, time_ms: int, partition: int) -> None:
    producer.send(
        message.topic,
        message.value,
        key=message.key,
        headers=message.headers,
        partition=partition,
        timestamp_ms=time_ms,
    )


Listing = Callable[..., Result]


@pytest.fixture
def listing(kafka: str, tmp_path: Path) -> Listing:
    """Run ``stream-ad dlq list`` on a topic."""

    def run(topic: str, *options: str) -> Result:
        servers = kafka.split(",")
        tree = {"kafka": {"bootstrap_servers": servers, "topics": {"dead_letter": topic}}}
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump(tree))
        return CliRunner().invoke(app, ["dlq", "list", "--config", str(file), *options])

    return run


def test_the_newest_come_last_and_say_whence_and_why(
    kafka: str, create_topic: CreateTopic, listing: Listing
) -> None:
    topic = create_topic("dead", partitions=2)
    messages = told(topic, [letter(b'{"v": "%d"}' % n, offset=100 + n) for n in range(6)])
    with KafkaProducer(bootstrap_servers=kafka) as producer:
        for n, message in enumerate(messages):
            send(producer, message, 1_700_000_000_000 + 1000 * n, partition=n % 2)
        producer.flush()
    lines = listing(topic, "--limit", "4", "--json").output.splitlines()
    found = [json.loads(line) for line in lines]
    assert [each["source_offset"] for each in found] == [102, 103, 104, 105]
    assert found[-1] == {
        "written": "2023-11-14T22:13:25Z",
        "partition": 1,
        "offset": 2,
        "source_topic": "plant",
        "source_partition": 2,
        "source_offset": 105,
        "error_class": "InvalidValue",
        "error_message": "not a number",
        "length": 10,
        "sha256": "ab" * 32,
        "head": '{"v": "5"}',
    }
    text = listing(topic, "--limit", "1").output
    assert text == (
        "2023-11-14T22:13:25Z  1:2  from plant 2:105  InvalidValue: not a number  "
        '10 bytes: {"v": "5"}\n'
    )


def test_markers_and_aborted_letters_do_not_count(
    kafka: str, create_topic: CreateTopic, unique: Callable[[str], str], listing: Listing
) -> None:
    topic = create_topic("dead")
    with KafkaProducer(bootstrap_servers=kafka, transactional_id=unique("id")) as producer:
        producer.init_transactions()
        for n in range(30):
            producer.begin_transaction()
            (message,) = told(topic, [letter(b"kept" if n < 3 else b"dropped", n)])
            send(producer, message, 1_700_000_000_000 + n, 0)
            producer.flush()
            producer.commit_transaction() if n < 3 else producer.abort_transaction()
    lines = listing(topic, "--limit", "2", "--json").output.splitlines()
    found = [json.loads(line) for line in lines]
    assert [(each["source_offset"], each["head"]) for each in found] == [(1, "kept"), (2, "kept")]


def test_hostile_bytes_and_foreign_records_are_shown_harmlessly(
    kafka: str, create_topic: CreateTopic, listing: Listing
) -> None:
    topic = create_topic("dead")
    (hostile,) = told(topic, [letter(b"\x1b[2J\xff\x00" + b"x" * 1000, 1, "bad \x1b[31m\nname")])
    foreign = Message(topic, None, b"", [("length", b"-7e"), ("source_offset", b"\xff")])
    with KafkaProducer(bootstrap_servers=kafka) as producer:
        send(producer, hostile, 1, 0)
        send(producer, foreign, 2, 0)
        producer.flush()
    text = listing(topic).output
    assert len(text.splitlines()) == 2
    assert text.replace("\n", "").isprintable()
    assert "\\x1b[2J\\xff\\x00xxx" in text
    assert len(text) < 500
    last = json.loads(listing(topic, "--limit", "1", "--json").output)
    assert (last["length"], last["source_offset"], last["head"]) == (None, None, "")


def test_an_empty_topic_and_a_missing_one_are_told_apart(
    create_topic: CreateTopic, unique: Callable[[str], str], listing: Listing
) -> None:
    topic = create_topic("dead")
    assert listing(topic).output == "no dead letters\n"
    assert listing(topic, "--json").output == ""
    missing = listing(unique("nowhere"))
    assert isinstance(missing.exception, BrokerError)
    assert "does not exist" in str(missing.exception)
