"""A silence is told once, under an id of its own, and changes nothing else."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.alerting import AlertState, WindowVerdict, close_all, close_silent, open_silent, step
from stream_ad.alerting.state import Silence
from stream_ad.records import IncidentEvent, incident_id
from tests.alerting.test_incidents import at, findings, life, rules, run, window

RULE = rules(m=1, n=1, close_after=2)
SECOND = 10**9


def numbered(events: list[tuple[int, IncidentEvent]]) -> list[tuple[int, str, str | None]]:
    return [(number, event.event, event.closed_reason) for number, event in events]


def restored(state: AlertState) -> AlertState:
    return AlertState.from_dict(orjson.loads(orjson.dumps(state.to_dict())))


def test_an_event_says_since_when_nothing_came_and_leaves_scores_empty() -> None:
    state = AlertState()
    events = open_silent(state, "press-1", 90 * SECOND, RULE)
    events += close_silent(state, "press-1", 150 * SECOND, RULE)
    since = "1970-01-01T00:01:30Z"
    same = {
        "incident_id": incident_id("press-1", "silent", since),
        "kind": "silent",
        "machine_id": "press-1",
        "machine_group": "presses",
        "started_at": since,
        "window_start": since,
        "severity": "warning",
        "sensors": [],
        "missing_share": 1.0,
    } | dict.fromkeys(
        [
            "score",
            "raw_score",
            "alarm_line",
            "p_value",
            "evidence",
            "neighbours",
            "model_id",
            "model_version",
        ]
    )
    opened = {"event": "opened", "closed_reason": None, "window_end": since}
    closed = {
        "event": "closed",
        "closed_reason": "recovered",
        "window_end": "1970-01-01T00:02:30Z",
    }
    assert [(n, event.model_dump()) for n, event in events] == [
        (1, same | opened),
        (2, same | closed),
    ]
    for _, event in events:
        assert IncidentEvent.model_validate_json(event.model_dump_json()) == event


def test_a_worker_that_sees_the_same_silence_again_says_nothing() -> None:
    state = AlertState()
    (first,) = open_silent(state, "m", 5, RULE)
    assert open_silent(state, "m", 5, RULE) == []
    assert open_silent(restored(state), "m", 5, RULE) == []
    assert open_silent(AlertState(), "m", 5, RULE) == [first]  # nothing was committed


def test_a_silence_after_newer_readings_is_another_incident() -> None:
    state = AlertState()
    events = open_silent(state, "m", 5, RULE) + close_silent(state, "m", 7, RULE)
    assert state == AlertState()
    events += open_silent(state, "m", 7, RULE)
    assert numbered(events) == [
        (1, "opened", None),
        (2, "closed", "recovered"),
        (1, "opened", None),
    ]
    assert events[0][1].incident_id != events[2][1].incident_id


def test_readings_that_were_too_late_end_a_silence_whose_numbers_go_on() -> None:
    state = AlertState()
    events = open_silent(state, "m", 5, RULE) + close_silent(state, "m", 5, RULE)
    state = restored(state)
    events += open_silent(state, "m", 5, RULE) + close_silent(state, "m", 6, RULE)
    assert numbered(events) == [
        (1, "opened", None),
        (2, "closed", "recovered"),
        (3, "opened", None),
        (4, "closed", "recovered"),
    ]
    assert len({event.incident_id for _, event in events}) == 1
    assert state == AlertState()


def test_nothing_is_closed_that_was_not_opened() -> None:
    state = AlertState()
    assert close_silent(state, "m", 5, RULE) == []
    assert state == AlertState()


@pytest.mark.parametrize(("least", "count"), [("info", 1), ("warning", 1), ("error", 0)])
def test_a_silence_is_a_warning_and_told_where_warnings_are(least: str, count: int) -> None:
    state = AlertState()
    assert len(open_silent(state, "m", 5, rules(min_severity=least))) == count
    assert (state.silence is None) == (count == 0)


def test_a_machine_that_moved_or_was_reset_is_not_silent_here_any_more() -> None:
    state = AlertState()
    run([window(0, 2.5, quality=findings("flow", 0.5))], RULE, state)
    open_silent(state, "m", 60 * SECOND, RULE)
    events = close_all(state, "m", "moved", RULE)
    assert [(n, e.kind, e.event, e.closed_reason) for n, e in events] == [
        (2, "data_quality", "closed", "moved"),
        (2, "process", "closed", "moved"),
        (2, "silent", "closed", "moved"),
    ]
    assert events[2][1].window_end == at(1)
    assert close_all(state, "m", "moved", RULE) == []
    # noticed once more by whoever still holds the state: under the next number
    assert numbered(open_silent(state, "m", 60 * SECOND, RULE)) == [(3, "opened", None)]


@given(life(), st.data())
def test_other_incidents_are_the_same_bytes_with_and_without_silences(
    verdicts: list[WindowVerdict], data: st.DataObject
) -> None:
    plain, noticed = AlertState(), AlertState()
    for verdict in verdicts:
        match data.draw(st.sampled_from(["nothing", "silent", "returns", "restored"])):
            case "silent":
                open_silent(noticed, "m", verdict.start, RULE)
            case "returns":
                close_silent(noticed, "m", verdict.start, RULE)
            case "restored":
                noticed = restored(noticed)
        assert step(noticed, verdict, RULE) == step(plain, verdict, RULE)
        apart = {k: v for k, v in noticed.to_dict().items() if k != "silence"}
        assert orjson.dumps(apart) == orjson.dumps(plain.to_dict())


@given(st.lists(st.tuples(st.sampled_from(["silent", "reading", "late"]), st.booleans())))
def test_no_number_repeats_and_every_silence_ends_before_the_next(
    steps: list[tuple[str, bool]],
) -> None:
    state, newest, told = AlertState(), 0, []
    for what, saved in steps:
        newest += what == "reading"
        if what == "silent":
            told += open_silent(state, "m", newest, RULE)
        else:
            told += close_silent(state, "m", newest, RULE)
        state = restored(state) if saved else state
    assert len({(event.incident_id, number) for number, event in told}) == len(told)
    assert [e.event for _, e in told] == (["opened", "closed"] * len(told))[: len(told)]


def test_a_silence_adds_little_to_the_state_record() -> None:
    state = AlertState(silence=Silence(2**62, 9, open=True))
    assert len(orjson.dumps(state.to_dict())) < 60
