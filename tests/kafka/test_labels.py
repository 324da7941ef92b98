"""Incidents looked up, labels and requests written and followed, on a real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from kafka import KafkaProducer

from stream_ad.config import KafkaConfig
from stream_ad.errors import BrokerError
from stream_ad.records import IncidentEvent, LabelRecord, incident_id
from stream_ad.transport.base import Outputs, Told
from stream_ad.transport.kafka import clients
from stream_ad.transport.kafka.alerts import Alerts, find_incident
from stream_ad.transport.kafka.following import Follower
from stream_ad.transport.kafka.labels import (
    Labels,
    Said,
    TrainRequest,
    write_label,
    write_request,
)
from stream_ad.transport.kafka.outgoing import Outgoing
from tests.kafka.clients import records, write
from tests.kafka.fixtures import CreateTopic

STARTED = "2024-01-01T00:00:00Z"
PARTITIONS = 3


@pytest.fixture
def config(kafka: str, create_topic: CreateTopic) -> KafkaConfig:
    topics = {
        "input": "unused",
        "alerts": create_topic("alerts", PARTITIONS),
        "labels": create_topic("labels", cleanup_policy="compact"),
    }
    return KafkaConfig.model_validate({"bootstrap_servers": kafka, "topics": topics})


def event(machine: str, what: str = "opened", started: str = STARTED) -> IncidentEvent:
    return IncidentEvent.model_validate(
        {
            "incident_id": incident_id(machine, "process", started),
            "kind": "process",
            "event": what,
            "closed_reason": "recovered" if what == "closed" else None,
            "machine_id": machine,
            "machine_group": "default",
            "started_at": started,
            "window_start": started,
            "window_end": "2024-01-01T00:01:00Z",
            "score": 1.5,
            "raw_score": 3.0,
            "alarm_line": 2.0,
            "p_value": 0.001,
            "severity": "warning",
            "sensors": [],
            "evidence": None,
            "neighbours": None,
            "missing_share": 0.0,
            "model_id": "default",
            "model_version": 1,
        }
    )


def label(about: IncidentEvent, what: str = "normal") -> LabelRecord:
    return LabelRecord.model_validate(
        {
            "incident_id": about.incident_id,
            "label": what,
            "machine_id": about.machine_id,
            "machine_group": about.machine_group,
            "started_at": about.started_at,
            "ended_at": None,
            "labelled_at": about.window_end,
        }
    )


def tell(config: KafkaConfig, *events: IncidentEvent) -> None:
    """Write incident events as the workers do."""
    told = Outputs([], [Told(number, one) for number, one in enumerate(events, 1)], [])
    producer = clients.plain_producer(config)
    for message in Outgoing(config).messages(told):
        producer.send(message.topic, message.value, key=message.key, headers=message.headers)
    producer.flush()
    producer.close()


@contextmanager
def following(config: KafkaConfig, topic: str) -> Iterator[Follower]:
    follower = Follower(clients.reader(config), topic, longest_s=10)
    yield follower
    follower.close()


def heard(config: KafkaConfig, say: Callable[[str], object] = lambda _: None) -> list[Said]:
    with following(config, config.topics.labels) as follower:
        return [said for _, said in Labels(follower, say).read(follower.ends([0]))]


# ------------------------------------------------------------ incidents


def test_an_incident_is_found_with_all_its_events_in_order(config: KafkaConfig) -> None:
    mine = [event("m1", what) for what in ("opened", "updated", "closed")]
    other = [event("m2"), event("m1", started="2024-01-02T00:00:00Z")]
    tell(config, other[0], mine[0], *other, mine[1], mine[2])
    assert find_incident(config, mine[0].incident_id) == mine
    assert find_incident(config, mine[0].incident_id, machine="m1") == mine
    assert find_incident(config, "0" * 16) == []


def test_a_search_passes_over_what_is_no_event(kafka: str, config: KafkaConfig) -> None:
    mine = event("m1")
    broken = b'{"incident_id": "%s"' % mine.incident_id.encode()
    write(kafka, config.topics.alerts, [b"", broken])
    tell(config, mine, event("m1", started="2024-01-03T00:00:00Z"))
    # another one's neighbours may name it
    named = event("m2").model_copy(update={"closed_reason": None, "model_id": mine.incident_id})
    tell(config, named)
    assert find_incident(config, mine.incident_id) == [mine]


def test_a_search_says_where_there_is_nothing_to_search(
    config: KafkaConfig, unique: Callable[[str], str]
) -> None:
    topics = config.topics.model_copy(update={"alerts": unique("absent")})
    elsewhere = config.model_copy(update={"topics": topics})
    with pytest.raises(BrokerError, match=r"absent-.* does not exist"):
        find_incident(elsewhere, "0" * 16)


def test_events_are_followed_and_what_is_none_is_told(kafka: str, config: KafkaConfig) -> None:
    told = [event(name) for name in ("m1", "m2", "m3", "m1")]
    tell(config, *told[:2])
    write(kafka, config.topics.alerts, [b"{}"])
    said: list[str] = []
    with following(config, config.topics.alerts) as follower:
        alerts = Alerts(follower, said.append)
        first = [one for part in alerts.read(follower.ends(range(PARTITIONS))) for one in part]
        tell(config, *told[2:])
        rest = [one for part in alerts.read(follower.ends(range(PARTITIONS))) for one in part]
    assert sorted(one.machine_id for one in first) == ["m1", "m2"]
    assert sorted(one.machine_id for one in rest) == ["m1", "m3"]
    (line,) = said
    assert "no incident event: Field required" in line


# ------------------------------------------------------------ labels


def test_what_is_written_is_heard_in_order(config: KafkaConfig) -> None:
    first, second = label(event("m1")), label(event("m2"), "anomaly")
    request = TrainRequest(machine_group="default", who="anna")
    write_label(config, first)
    write_request(config, request)
    write_label(config, second)
    write_label(config, first.model_copy(update={"label": "anomaly"}))
    assert heard(config) == [
        first,
        request,
        second,
        first.model_copy(update={"label": "anomaly"}),
    ]


def test_keys_let_compaction_keep_the_last_word(kafka: str, config: KafkaConfig) -> None:
    one = label(event("m1"))
    write_label(config, one)
    write_request(config, TrainRequest(machine_group="presses", who="anna"))
    rows = records(kafka, config.topics.labels)
    assert [row.key for row in rows] == [one.incident_id.encode(), b"train/presses"]
    assert LabelRecord.model_validate_json(rows[0].value) == one


def test_what_is_no_label_is_told_and_passed_over(kafka: str, config: KafkaConfig) -> None:
    said: list[str] = []
    with KafkaProducer(bootstrap_servers=kafka) as producer:
        one = label(event("m1"))
        unlike = [  # each of which a file of labels refuses too
            {"labelled_at": "yesterday"},
            {"ended_at": "1970-01-01T00:00:00Z"},
            {"label": "anomaly", "new_normal": "group"},
        ]
        odd = [one.model_copy(update=other).model_dump_json().encode() for other in unlike]
        for value in (b"{", b'{"label": "normal"}', None, *odd):
            producer.send(config.topics.labels, value, key=b"k").get(timeout=10)
    write_label(config, one)
    assert heard(config, said.append) == [one]
    assert len(said) == 5
    assert "labelled_at" in said[2]
    assert f"topic {config.topics.labels}, offset 0: no label" in said[0]


def test_without_its_topic_a_label_is_refused(
    config: KafkaConfig, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "BLOCK_MS", 500)
    topics = config.topics.model_copy(update={"labels": unique("absent")})
    with pytest.raises(BrokerError, match="`stream-ad topics create` makes it"):
        write_label(config.model_copy(update={"topics": topics}), label(event("m1")))
