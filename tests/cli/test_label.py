"""``stream-ad label``: into a replay's folder, or onto the labels topic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from stream_ad.config import KafkaConfig
from stream_ad.records import IncidentEvent, LabelRecord, incident_id
from stream_ad.transport.label_records import read_label_records
from tests.cli.command import good, refused, run

STARTED = "2024-01-01T00:00:00Z"


def event(
    machine: str, what: str, minute: int, kind: str = "process", started: str = STARTED
) -> dict[str, Any]:
    return {
        "incident_id": incident_id(machine, kind, started),  # type: ignore[arg-type]
        "kind": kind,
        "event": what,
        "closed_reason": "recovered" if what == "closed" else None,
        "machine_id": machine,
        "machine_group": "presses",
        "started_at": started,
        "window_start": f"2024-01-01T00:{minute - 1:02d}:00Z",
        "window_end": f"2024-01-01T00:{minute:02d}:00Z",
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


OPEN = [event("press-1", "opened", 5), event("press-1", "updated", 9)]
CLOSED = [
    event("press-2", "opened", 6),
    event("press-2", "closed", 20),
    event("press-3", "opened", 7, "drift"),
    event("press-4", "opened", 8, "data_quality"),
]
ONE, TWO = OPEN[0]["incident_id"], CLOSED[0]["incident_id"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = sorted([*OPEN, *CLOSED], key=lambda one: one["window_end"])
    (tmp_path / "alerts.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in lines))
    return tmp_path


def said(folder: Path) -> list[LabelRecord]:
    return read_label_records(folder / "labels.jsonl")


def test_a_closed_incident_is_labelled_whole_as_of_its_end(folder: Path) -> None:
    answer = good("label", TWO, "anomaly", "--dir", folder)
    end = "2024-01-01T00:20:00Z"
    assert said(folder) == [
        LabelRecord(
            incident_id=TWO,
            label="anomaly",
            machine_id="press-2",
            machine_group="presses",
            started_at=STARTED,
            ended_at=end,
            labelled_at=end,
        )
    ]
    assert f"incident {TWO} of press-2 ({STARTED} to {end}): anomaly" in answer.out
    assert f"{folder / 'labels.jsonl'}" in answer.out


def test_an_open_one_as_of_the_last_window_that_is_known_of_it(folder: Path) -> None:
    assert "goes on" in good("label", ONE, "normal", "--dir", folder).out
    (label,) = said(folder)
    assert (label.ended_at, label.labelled_at) == (None, "2024-01-01T00:09:00Z")
    assert label.new_normal == "no"


def test_labelled_again_the_last_word_counts(folder: Path) -> None:
    for word in ("normal", "anomaly", "normal", "anomaly"):
        good("label", ONE, word, "--dir", folder)
    good("label", TWO, "normal", "--dir", folder)
    assert [one.label for one in said(folder)] == ["anomaly", "normal"]
    assert len((folder / "labels.jsonl").read_bytes().splitlines()) == 5


@pytest.mark.parametrize(
    ("options", "expected", "told"),
    [
        (["--new-normal"], "machine", "the new normal;"),
        (["--new-normal", "--whole-group"], "group", "the new normal of the group;"),
    ],
)
def test_new_normal_says_of_which_machines(
    folder: Path, options: list[str], expected: str, told: str
) -> None:
    answer = good("label", ONE, "normal", *options, "--dir", folder)
    assert said(folder)[0].new_normal == expected
    assert told in answer.out


def test_the_time_from_which_on_it_counts_can_be_given_in_any_zone(folder: Path) -> None:
    good("label", ONE, "normal", "--at", "2024-01-02T02:00:00+02:00", "--dir", folder)
    assert said(folder)[0].labelled_at == "2024-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([ONE, "anomaly", "--new-normal"], "--new-normal = 'anomaly'"),
        ([ONE, "normal", "--whole-group"], "--whole-group = True: allowed is together with"),
        ([ONE, "normal", "--at", "tomorrow"], "--at = 'tomorrow': allowed is RFC 3339"),
        ([ONE, "normal", "--at", "2023-01-01T00:00:00Z"], "a time after the incident began"),
        ([CLOSED[3]["incident_id"], "normal"], "this one is data_quality"),
    ],
)
def test_what_makes_no_sense_is_refused_and_writes_nothing(
    folder: Path, arguments: list[str], expected: str
) -> None:
    assert expected in refused("label", *arguments, "--dir", folder)
    assert not (folder / "labels.jsonl").exists()


def test_a_word_that_is_neither_is_refused(folder: Path) -> None:
    answer = run("label", ONE, "maybe", "--dir", folder)
    assert answer.code == 2
    assert "maybe" in answer.err


@pytest.mark.parametrize("typed", [ONE[:6], ONE[:-1] + "x", ONE.upper(), ONE[1:]])
def test_an_unknown_incident_is_refused_with_the_nearest(folder: Path, typed: str) -> None:
    error = refused("label", typed, "normal", "--dir", folder)
    assert f"nearest: {ONE} (press-1, {STARTED})" in error
    assert CLOSED[3]["incident_id"] not in error  # could not be labelled


def test_a_folder_without_incidents_is_said(tmp_path: Path) -> None:
    assert "alerts.jsonl: cannot be read" in refused("label", ONE, "normal", "--dir", tmp_path)
    (tmp_path / "alerts.jsonl").touch()
    assert "has none that could be" in refused("label", ONE, "normal", "--dir", tmp_path)


@pytest.mark.parametrize("line", [b"{", b"[]", b"null", b'{"incident_id":1}', b"\xff"])
def test_a_damaged_file_of_incidents_is_said_with_the_line(folder: Path, line: bytes) -> None:
    alerts = folder / "alerts.jsonl"
    alerts.write_bytes(alerts.read_bytes() + line + b"\n")
    assert "line 7: no incident event" in refused("label", ONE, "normal", "--dir", folder)


@pytest.mark.parametrize("given", [[], ["--dir", "a", "-c", "b"]])
def test_either_a_folder_or_topics_are_named(given: list[str]) -> None:
    assert "one of the two" in refused("label", ONE, "normal", *given)


class Topics:
    """Stands in for the alerts and labels topics."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]]) -> None:
        self.written: list[LabelRecord] = []
        self._events = [IncidentEvent.model_validate(one) for one in events]
        monkeypatch.setattr("stream_ad.transport.kafka.alerts.find_incident", self.find)
        monkeypatch.setattr("stream_ad.transport.kafka.labels.write_label", self.write)

    def find(self, config: KafkaConfig, name: str) -> list[IncidentEvent]:
        assert config.bootstrap_servers == ("there:9092",)
        return [one for one in self._events if one.incident_id == name]

    def write(self, config: KafkaConfig, label: LabelRecord) -> None:
        assert config.bootstrap_servers == ("there:9092",)
        self.written.append(label)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("kafka: {bootstrap_servers: 'there:9092', topics: {alerts: told}}")
    return path


def test_without_a_folder_it_goes_onto_the_labels_topic(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics(monkeypatch, [*OPEN, *CLOSED])
    answer = good("label", ONE, "normal", "--new-normal", "-c", config)
    (label,) = topics.written
    assert (label.machine_id, label.label, label.new_normal) == ("press-1", "normal", "machine")
    assert label.labelled_at == "2024-01-01T00:09:00Z"
    assert ONE in answer.out


def test_an_incident_that_the_topic_no_longer_has_is_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics(monkeypatch, CLOSED)
    error = refused("label", ONE, "normal", "-c", config)
    assert f"INCIDENT_ID = '{ONE}': allowed is an incident that topic told still has" in error
    assert topics.written == []
