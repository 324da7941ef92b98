"""Announcements on a real topic: told once, followed from the beginning, whatever lies between."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import UnknownError

from stream_ad.config import ClientConfig, KafkaConfig, TopicsConfig
from stream_ad.errors import BrokerError
from stream_ad.records import ModelRecord
from stream_ad.transport.kafka import clients
from stream_ad.transport.kafka.announcements import Announcements, announce, announcement, followed
from tests.kafka.clients import records
from tests.kafka.fixtures import CreateTopic
from tests.kafka_cluster.waiting import until

PATIENCE_S = 15.0


@pytest.fixture
def config(kafka: str, create_topic: CreateTopic) -> KafkaConfig:
    return settings(kafka, create_topic("models", cleanup_policy="compact"))


def settings(bootstrap: str, topic: str) -> KafkaConfig:
    return KafkaConfig(
        bootstrap_servers=(bootstrap,),
        topics=TopicsConfig(models=topic),
        client=ClientConfig(metadata_max_age_ms=1_000),
    )


def record(promotion: int, reason: str = "by hand") -> ModelRecord:
    return ModelRecord(
        machine_group="default",
        promotion=promotion,
        model_version=promotion,
        card_sha256="0" * 64,
        effective_from="2024-01-01T00:00:00Z",
        reference=1,
        reason=reason,
    )


def heard(announcements: Announcements, n: int) -> list[int]:
    """Poll until so many announcements came; return their numbers."""
    found: list[int] = []

    def enough() -> bool:
        found.extend(one.promotion for one in announcements.poll())
        return len(found) >= n

    assert until(enough, PATIENCE_S)
    return found


def test_what_is_announced_is_heard_in_order_by_whoever_comes_and_by_whoever_is_there(
    config: KafkaConfig,
) -> None:
    announce(config, record(1))
    with closing(Announcements(config)) as early:
        assert heard(early, 1) == [1]
        for number in (2, 3):
            announce(config, record(number))
        assert heard(early, 2) == [2, 3]
        assert early.poll(100) == []
        with closing(Announcements(config)) as late:
            assert late.so_far() == [record(1), record(2), record(3)]
            assert late.so_far() == []


def test_an_announcement_has_the_key_of_its_promotion_so_that_only_the_last_one_stays(
    config: KafkaConfig,
) -> None:
    announce(config, record(2, "first"))
    announce(config, record(2, "told again"))
    rows = records(config.bootstrap_servers[0], config.topics.models)
    assert [row.key for row in rows] == [b"default/2", b"default/2"]
    assert rows[-1].value == announcement(config, record(2, "told again")).value


def test_what_is_no_announcement_is_passed_over_and_told(config: KafkaConfig) -> None:
    topic, said = config.topics.models, list[str]()
    with closing(Announcements(config, said.append)) as announcements:
        with KafkaProducer(bootstrap_servers=config.bootstrap_servers[0]) as producer:
            for value in (b"{}", b"\xff", b'{"machine_group": 1}', None):
                producer.send(topic, value, key=b"default/3", partition=0)
            producer.flush()
        announce(config, record(4))
        assert heard(announcements, 1) == [4]
    assert [text.split(":")[0] for text in said] == [f"topic {topic}, offset {n}" for n in range(3)]


def test_a_topic_that_is_made_later_is_followed_from_then_on(
    kafka: str, unique: Callable[[str], str]
) -> None:
    config = settings(kafka, unique("models"))
    with closing(Announcements(config)) as announcements, admin(kafka) as client:
        assert announcements.poll() == []
        assert not announcements.is_there()
        try:
            client.create_topics([NewTopic(config.topics.models, 1)])
            announce(config, record(1))
            assert heard(announcements, 1) == [1]
            assert announcements.is_there()
        finally:
            client.delete_topics([config.topics.models])


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(
    kafka: str, config: KafkaConfig
) -> None:
    for number in (1, 2):
        announce(config, record(number))
    with closing(Announcements(config)) as announcements, admin(kafka) as client:
        assert heard(announcements, 2) == [1, 2]
        client.delete_topics([config.topics.models])
        assert until(lambda: config.topics.models not in client.list_topics(), PATIENCE_S)
        client.create_topics([NewTopic(config.topics.models, 1)])
        announce(config, record(1, "of another registry"))
        assert heard(announcements, 1) == [1]


def test_following_outlives_a_client_that_failed_and_a_topic_that_is_made_later(
    kafka: str, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, said = settings(kafka, unique("models")), list[str]()
    came: list[int] = []
    following = followed(config, lambda: came[-2:] == [1, 2], said.append)
    assert next(following) == []
    assert said == [
        f"announcements of detectors cannot be read: topic {config.topics.models} does not exist "
        "(`stream-ad topics create` makes it); trying again"
    ]
    with admin(kafka) as client:
        try:
            client.create_topics([NewTopic(config.topics.models, 1)])
            announce(config, record(1))
            poll = Announcements.poll
            fails = iter([True])

            def fail_once(self: Announcements, timeout_ms: int) -> list[ModelRecord]:
                if next(fails, False):
                    raise UnknownError("for the test")
                return poll(self, timeout_ms)

            monkeypatch.setattr(Announcements, "poll", fail_once)
            announce(config, record(2))
            for records in following:
                came += [one.promotion for one in records]
        finally:
            client.delete_topics([config.topics.models])
    assert said[1:] == [
        "announcements of detectors cannot be read: UnknownError: for the test; trying again"
    ]


def test_announcing_to_a_topic_that_is_not_there_says_how_to_make_it(
    kafka: str, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "BLOCK_MS", 500)
    config = settings(kafka, unique("models"))
    with pytest.raises(BrokerError, match=r"announcing promotion 1: topic .*`stream-ad topics cre"):
        announce(config, record(1))


def test_announcing_without_brokers_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "TRY_MS", 300)
    with pytest.raises(BrokerError, match=r"promotion 1: cannot reach 127\.0\.0\.1:1"):
        announce(settings("127.0.0.1:1", "models"), record(1))


def admin(bootstrap: str) -> KafkaAdminClient:
    return KafkaAdminClient(bootstrap_servers=bootstrap)
