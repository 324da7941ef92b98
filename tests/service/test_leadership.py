"""However many trainers there are, one leads; when it goes another does, and it tells no more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import GroupAuthorizationFailedError

from stream_ad.config import KafkaConfig
from stream_ad.errors import BrokerError
from stream_ad.records import ModelRecord
from stream_ad.service.leadership import Leadership, NotLeading
from stream_ad.transport.kafka import clients
from stream_ad.transport.kafka.announcer import Announcer, Fenced
from tests.kafka.clients import records
from tests.kafka.fixtures import CreateTopic
from tests.kafka_cluster.waiting import until

SESSION_S = 3.0
SOON_S = 15.0
# Takes part until it is killed; says so once it leads.
RIVAL = """
import sys, time
from stream_ad.config import KafkaConfig
from stream_ad.service.leadership import Leadership
from stream_ad.transport.kafka import clients
config = KafkaConfig.model_validate_json(sys.argv[1])
rival = Leadership(lambda: clients.candidate(config), config.topics.models, 3.0)
while rival.term is None:
    time.sleep(0.05)
print("leads", flush=True)
time.sleep(60)
"""


@pytest.fixture
def config(kafka: str, create_topic: CreateTopic, unique: Callable[[str], str]) -> KafkaConfig:
    return KafkaConfig.model_validate(
        {
            "bootstrap_servers": kafka,
            "group_id": unique("group"),
            "session_timeout_s": SESSION_S,
            "transaction_timeout_s": 5,
            "topics": {"models": create_topic("models", cleanup_policy="compact")},
        }
    )


@contextmanager
def trainer(config: KafkaConfig) -> Iterator[Leadership]:
    one = Leadership(lambda: clients.candidate(config), config.topics.models, SESSION_S)
    yield one
    one.close()


def leads(one: Leadership) -> bool:
    return until(lambda: one.term is not None, SOON_S)


def record(promotion: int) -> ModelRecord:
    return ModelRecord(
        machine_group="default",
        promotion=promotion,
        model_version=promotion,
        card_sha256="0" * 64,
        effective_from="2024-01-01T00:00:00Z",
        reference=1,
        reason="for the test",
    )


def told(config: KafkaConfig) -> list[int]:
    rows = records(config.bootstrap_servers[0], config.topics.models)
    return [ModelRecord.model_validate_json(row.value).promotion for row in rows]


# ------------------------------------------------------------ who leads


def test_of_two_one_leads_and_goes_on_leading_when_the_other_comes(config: KafkaConfig) -> None:
    with trainer(config) as first:
        assert leads(first)
        with trainer(config) as second:
            assert not until(lambda: second.term is not None, SESSION_S + 1)
            first.require(1)
            with pytest.raises(NotLeading, match="another trainer"):
                second.require(1)
        assert first.term == 1


def test_when_it_leaves_the_other_leads_at_once(config: KafkaConfig) -> None:
    with trainer(config) as second, trainer(config) as first:
        assert until(lambda: (first.term or second.term) is not None, SOON_S)
        leader, other = (first, second) if first.term else (second, first)
        leader.close()
        assert until(lambda: other.term == 1, SESSION_S)
        with pytest.raises(NotLeading):
            leader.require(1)


def test_when_it_is_killed_the_other_leads(config: KafkaConfig) -> None:
    rival = subprocess.Popen(
        [sys.executable, "-c", RIVAL, config.model_dump_json()],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert rival.stdout is not None
        assert rival.stdout.readline() == b"leads\n"
        with trainer(config) as heir:
            assert not until(lambda: heir.term is not None, 1)
            rival.kill()
            assert leads(heir)
            heir.require(1)
    finally:
        rival.kill()
        rival.communicate()


def test_what_ends_its_part_is_handed_to_whoever_asks(config: KafkaConfig) -> None:
    def refuse() -> Any:
        raise GroupAuthorizationFailedError("group")

    one = Leadership(refuse, config.topics.models, SESSION_S)
    with pytest.raises(GroupAuthorizationFailedError):
        one.require(1)
    one.close()


# ------------------------------------------------------------ what it tells


def announcer(config: KafkaConfig) -> Announcer:
    return Announcer(config, lambda: clients.announcer(config))


def test_promotions_are_told_in_order_and_all_or_none(config: KafkaConfig) -> None:
    one = announcer(config)
    one.tell([record(1), record(2)])
    one.tell([record(3)])
    one.close()
    assert told(config) == [1, 2, 3]


def test_who_was_displaced_tells_nothing(config: KafkaConfig) -> None:
    before, after = announcer(config), announcer(config)
    with pytest.raises(Fenced):
        before.tell([record(1)])
    after.tell([record(2)])
    before.close()
    after.close()
    assert told(config) == [2]


def test_what_a_killed_one_left_open_is_not_told(config: KafkaConfig) -> None:
    killed = announcer(config)
    killed._producer.begin_transaction()
    killed._producer.send(config.topics.models, b"{}", key=b"default/9", partition=0).get(10)
    heir = announcer(config)
    heir.tell([record(1)])
    heir.close()
    killed.close()
    assert told(config) == [1]


def test_without_the_right_to_write_a_person_is_asked(
    config: KafkaConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kafka.errors import TopicAuthorizationFailedError

    one = announcer(config)

    def refuse(*_: Any, **__: Any) -> None:
        raise TopicAuthorizationFailedError(config.topics.models)

    monkeypatch.setattr(one._producer, "send", refuse)
    with pytest.raises(BrokerError, match="WRITE on what is written"):
        one.tell([record(1)])
    one.close()
