"""A detector learned from a topic is the one learned from a file of the same records."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from kafka import KafkaProducer

from tests.cli.command import good, refused
from tests.cli.recordings import LEARNED, MACHINES, plant, text_of, write_config, write_csv
from tests.kafka.fixtures import CreateTopic
from tests.service.running import message

ROWS = plant(LEARNED)


@pytest.fixture
def topic(kafka: str, create_topic: CreateTopic) -> str:
    name = create_topic("plant", partitions=2, retention_ms="-1")
    with KafkaProducer(bootstrap_servers=kafka) as producer:
        for row in ROWS:
            key, value = message(row)
            producer.send(name, value, key=key)
    return name


@pytest.fixture
def config(kafka: str, tmp_path: Path) -> Path:
    detector = {"model": "linear", "scorer": "error"}
    return write_config(
        tmp_path / "c.yaml", detector=detector, kafka={"bootstrap_servers": [kafka]}
    )


def digests(registry: Path) -> dict[str, str]:
    card = orjson.loads((registry / "default" / "000001" / "card.json").read_bytes())
    found: dict[str, str] = card["files"]
    return found


def test_it_learns_the_same_as_from_a_file(config: Path, topic: str, tmp_path: Path) -> None:
    by_topic, by_file = tmp_path / "by-topic", tmp_path / "by-file"
    said = good("train", "--from-topic", topic, "-c", config, "-o", by_topic)
    good("train", write_csv(tmp_path / "plant.csv", ROWS), "-c", config, "-o", by_file)
    assert digests(by_topic) == digests(by_file)
    assert f"history: {len(MACHINES) * 39} windows" in said.err
    (promotion,) = (by_topic / "default" / "promotions").iterdir()
    assert orjson.loads(promotion.read_bytes())["reason"] == f"trained from topic {topic}"


def test_its_end_is_a_time(config: Path, topic: str, tmp_path: Path) -> None:
    command = ("train", "--from-topic", topic, "-c", config, "-o", tmp_path / "r")
    said = good(*command, "--train-until", text_of(80))
    assert f"history: {len(MACHINES) * 20} windows until {text_of(80)}" in said.err
    assert "--train-until = '400': allowed is a time" in refused(*command, "--train-until", 400)


def test_options_that_do_not_go_together_are_refused(config: Path, tmp_path: Path) -> None:
    file, to = write_csv(tmp_path / "plant.csv", ROWS[:30]), ("-c", config, "-o", tmp_path / "r")
    assert "FILE, --from-topic = 'neither'" in refused("train", *to)
    assert "FILE, --from-topic = 'both'" in refused("train", file, "--from-topic", "t", *to)
    timed = refused("train", file, "--to-time", "2024-01-01T00:00:00Z", *to)
    assert "--from-topic = None: allowed is a topic with" in timed
    assert "nothing with --compare" in refused("train", "--from-topic", "t", "--compare", *to)
