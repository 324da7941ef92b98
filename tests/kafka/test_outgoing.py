"""What leaves: CloudEvents by the binding, records by their schema, ids that repeat."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stream_ad.config import KafkaConfig, TopicsConfig
from stream_ad.records import IncidentEvent, ScoreRecord, incident_id
from stream_ad.transport.base import DEAD_LETTER_BYTES, DeadLetter, Outputs, ScoreRow, Told
from stream_ad.transport.kafka.outgoing import LONGEST_KEY, Message, Outgoing, cut
from stream_ad.transport.rows import SCORES_HEAD, score_lines

TOPICS = {"input": "in", "alerts": "al", "scores": "sc", "dead_letter": "dl", "state": "st"}
CONFIG = KafkaConfig(group_id="plant 1/öst", topics=TopicsConfig(**TOPICS))
OUT = Outgoing(CONFIG)
NEEDED = {"ce_specversion", "ce_type", "ce_source", "ce_id", "ce_time", "ce_subject"}

finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=249)
rows = st.builds(
    ScoreRow,
    machine_id=names,
    window_start=st.integers(0, 9 * 10**18),
    window_end=st.integers(0, 9 * 10**18),
    score=finite,
    p_value=finite,
    alarm=st.booleans(),
    static_score=finite,
    raw_score=finite,
    incident_id=st.none() | st.just("0123456789abcdef"),
    model_version=st.integers(1, 10**6),
)


def event(machine: str = "press-1", **changed: Any) -> IncidentEvent:
    started = "2024-01-01T00:00:00Z"
    fields: dict[str, Any] = {
        "incident_id": incident_id(machine, "process", started),
        "kind": "process",
        "event": "opened",
        "machine_id": machine,
        "machine_group": "default",
        "started_at": started,
        "window_start": started,
        "window_end": "2024-01-01T00:01:04.5Z",
        "score": 1.5,
        "raw_score": 0.1,
        "alarm_line": 0.05,
        "p_value": 1e-4,
        "severity": "warning",
        "sensors": [],
        "evidence": None,
        "neighbours": None,
        "missing_share": 0.0,
        "model_id": "default",
        "model_version": 1,
    }
    return IncidentEvent(**fields | changed)


def one(outputs: Outputs, out: Outgoing = OUT) -> Message:
    (message,) = out.messages(outputs)
    assert type(message.headers) is list  # the producer takes nothing else
    return message


def text_headers(message: Message) -> dict[str, str]:
    headers = {name: value.decode() for name, value in message.headers}
    assert len(headers) == len(message.headers)
    return headers


def valid(value: bytes | None, model: type[IncidentEvent | ScoreRecord]) -> Any:
    assert value is not None
    tree = orjson.loads(value)
    Draft202012Validator(model.model_json_schema(mode="serialization")).validate(tree)
    return tree


def test_an_incident_event_is_a_cloud_event_with_the_records_own_json() -> None:
    told = Told(3, event(event="closed", closed_reason="recovered"))
    message = one(Outputs([], [told], []))
    assert (message.topic, message.key, message.partition) == ("al", b"press-1", None)
    assert valid(message.value, IncidentEvent) == told.event.model_dump()
    assert text_headers(message) == {
        "ce_specversion": "1.0",
        "ce_type": "stream_ad.incident.closed",
        "ce_source": "/stream-ad/plant%201%2F%C3%B6st",
        "ce_id": f"{told.event.incident_id}-3",
        "ce_time": "2024-01-01T00:01:04.5Z",
        "ce_subject": "press-1",
        "content-type": "application/json",
    }


def test_a_score_is_a_cloud_event_named_by_machine_and_window() -> None:
    row = ScoreRow("m", 0, 1_500_000_000, 0.1, 1.0, True, 0.1, 2e-9, None, 1)
    message = one(Outputs([row], [], []))
    headers = text_headers(message)
    assert (message.topic, message.key, message.partition) == ("sc", b"m", None)
    assert headers.keys() == NEEDED | {"content-type"}
    assert headers["ce_id"] == "m/1970-01-01T00:00:00Z"
    assert headers["ce_time"] == "1970-01-01T00:00:01.5Z"
    assert headers["ce_type"] == "stream_ad.score"


@given(rows)
def test_a_score_says_what_its_row_in_the_csv_says(row: ScoreRow) -> None:
    message = one(Outputs([row], [], []))
    tree = valid(message.value, ScoreRecord)
    text = (SCORES_HEAD + score_lines([row])).decode()
    (cells,) = csv.DictReader(io.StringIO(text, newline=""))
    assert tree.keys() == cells.keys()
    for name, value in tree.items():
        shown = {True: "1", False: "0", None: ""}.get(value) if type(value) is not float else None
        assert cells[name] == (repr(value) if type(value) is float else shown or str(value or ""))


@given(rows, names)
def test_the_same_outputs_are_the_same_messages(row: ScoreRow, machine: str) -> None:
    outputs = Outputs([row], [Told(1, event(machine))], [DeadLetter.of(1, b"x", "A", "b")])
    again = Outgoing(CONFIG)
    assert list(OUT.messages(outputs)) == list(again.messages(outputs))


@given(st.lists(rows, unique_by=lambda row: (row.machine_id, row.window_start)))
def test_no_two_scores_share_an_id(many: list[ScoreRow]) -> None:
    ids = [dict(m.headers)["ce_id"] for m in OUT.messages(Outputs(many, [], []))]
    assert len(set(ids)) == len(many)


def test_incidents_come_before_scores_and_dead_letters() -> None:
    row = ScoreRow("m", 0, 1, 0.0, 1.0, False, 0.0, 0.0, None, 1)
    outputs = Outputs([row], [Told(1, event())], [DeadLetter.of(0, b"", "A", "b")])
    assert [message.topic for message in OUT.messages(outputs)] == ["al", "sc", "dl"]


def test_without_a_scores_topic_no_score_is_told() -> None:
    row = ScoreRow("m", 0, 1, 0.0, 1.0, False, 0.0, 0.0, None, 1)
    assert not [*Outgoing(KafkaConfig()).messages(Outputs([row], [], []))]


def test_a_dead_letter_has_the_original_and_its_cause() -> None:
    value, key = b"\xff{", b"\x00key"
    digest = hashlib.sha256(value).hexdigest()
    letter = DeadLetter(41, value, 2, digest, "InvalidJson", "no JSON: ü", 5, key)
    message = one(Outputs([], [], [letter]))
    assert (message.topic, message.key, message.value) == ("dl", key, value)
    assert text_headers(message) == {
        "source_topic": "in",
        "source_partition": "5",
        "source_offset": "41",
        "error_class": "InvalidJson",
        "error_message": "no JSON: ü",
        "length": "2",
        "sha256": digest,
    }


@pytest.mark.parametrize("key", [None, b"", b"k" * (LONGEST_KEY + 1)])
def test_a_cut_dead_letter_keeps_what_its_headers_say_of_the_whole(key: bytes | None) -> None:
    value = bytes(range(256)) * 1024
    digest = hashlib.sha256(value).hexdigest()
    letter = DeadLetter(1, value, len(value), digest, "RecordTooLarge", "too large", 0, key)
    whole = one(Outputs([], [], [letter]))
    small = cut(whole)
    assert small.value == value[:DEAD_LETTER_BYTES]
    assert dict(small.headers).items() >= dict(whole.headers).items()
    assert small.key == (key if not key else key[:LONGEST_KEY])
    assert cut(small)[:3] == small[:3]


@pytest.mark.parametrize("record", [b"state", None])
def test_a_state_goes_to_the_partition_of_its_input(record: bytes | None) -> None:
    assert OUT.state("präge", record, 7) == Message("st", "präge".encode(), record, [], 7)
