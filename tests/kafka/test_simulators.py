"""A simulated factory in a topic: the records of its file, each machine in one partition."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition

from simulators import topic as simulated
from simulators.__main__ import main
from tests.kafka.fixtures import CreateTopic

FACTORY = ("factory", "--machines", "3", "--sensors", "3", "--days", "0.05", "--faults", "0")


def messages(bootstrap: str, topic: str, partitions: int) -> list[tuple[int, bytes, bytes]]:
    """Return (partition, key, value) of a whole topic, partition by partition."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    try:
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        found = []
        while any(consumer.position(place) < ends[place] for place in places):
            found += [row for rows in consumer.poll(500).values() for row in rows]
    finally:
        consumer.close()
    return [(row.partition, row.key, row.value) for row in found]


@pytest.mark.parametrize("own", [[], ["--record", "window", "--window-length", "8"]])
def test_a_topic_holds_the_records_of_the_file(
    kafka: str,
    create_topic: CreateTopic,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    topic = create_topic(partitions=2)
    assert main([*FACTORY, *own, "--out", "a.jsonl"]) == 0
    assert main([*FACTORY, *own, "--kafka", kafka, "--topic", topic]) == 0
    found = messages(kafka, topic, 2)
    assert f"{len(found)} records of 3 machines in topic {topic}" in capsys.readouterr().out
    assert (tmp_path / f"{topic}.faults.csv").exists()
    lines = Path("a.jsonl").read_bytes().splitlines()
    for machine in {orjson.loads(line)["machine_id"] for line in lines}:
        own_lines = [line for line in lines if orjson.loads(line)["machine_id"] == machine]
        assert [value for _, key, value in found if key == machine.encode()] == own_lines
        assert len({partition for partition, key, _ in found if key == machine.encode()}) == 1


def test_a_missing_topic_is_one_sentence(
    kafka: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(simulated, "_WAIT_MS", 1_500)
    monkeypatch.chdir(tmp_path)
    assert main([*FACTORY, "--kafka", kafka, "--topic", "nobody-made-it"]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "cannot write topic nobody-made-it: " in said[0]
    assert "does the topic exist?" in said[0]
    assert not list(tmp_path.iterdir())
