"""A state begun anew: incidents are closed, no record is read twice, no event id repeats."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from stream_ad.alerting import AlertState, Rules, ce_id, close_silent, open_silent, step
from stream_ad.config import AlarmConfig, WindowsConfig
from stream_ad.records import IncidentEvent
from stream_ad.state import MachineState
from stream_ad.windows import WindowSpec
from tests.alerting.test_incidents import HOP, NAMES, at, findings, window

OLD = WindowSpec.from_config(WindowsConfig(sensors=NAMES, period_s=30, length=4, hop=2))
NEW = WindowSpec.from_config(WindowsConfig(sensors=NAMES, period_s=30, length=8, hop=2))
RULES = Rules(AlarmConfig(m=1, n=1, close_after=1), HOP, NAMES, "presses")


def old_state() -> tuple[MachineState, set[str]]:
    """Return a state with three incidents open, and the ids of the events told so far."""
    state, ids = MachineState.fresh(OLD, "reading"), set()
    times = np.arange(100) * HOP
    state.grid.push(times, np.ones((100, len(NAMES)), np.float32))
    state.through = 99
    bad = window(3, None, quality=findings("flow", 0.5))
    for verdict in [window(0, 1.5), window(1, 0), window(2, 1.5), window(3, 2.5), bad]:
        for number, event in step(state.alerts, verdict, RULES).events:
            ids.add(ce_id(event.incident_id, number))
    for number, event in open_silent(state.alerts, "m", int(times[-1]), RULES):
        ids.add(ce_id(event.incident_id, number))
    return state, ids


def reset(record: bytes) -> tuple[MachineState, list[tuple[int, IncidentEvent]]]:
    return MachineState.reset_from(record, "m", NEW, "reading", RULES)


def test_a_reset_closes_what_was_open_and_keeps_how_far_it_read() -> None:
    old, told = old_state()
    # window 0 opened and closed one; 2 opened, 3 made it worse; bad data; the silence
    assert len(told) == 6
    state, events = reset(old.to_bytes(OLD))
    assert [(n, e.kind, e.event, e.closed_reason, e.started_at) for n, e in events] == [
        (2, "data_quality", "closed", "reset", at(3)),
        (3, "process", "closed", "reset", at(2)),
        (2, "silent", "closed", "reset", at(99)),
    ]
    assert state.through == 99
    fresh = MachineState.fresh(NEW, "reading")
    assert state.grid.to_dict() == fresh.grid.to_dict()
    assert (state.counts, state.alerts.open, state.alerts.recent) == (fresh.counts, {}, [])


def test_no_event_id_repeats_although_windows_start_where_others_did() -> None:
    old, told = old_state()
    state, events = reset(old.to_bytes(OLD))
    for _ in range(3):  # and reset again, each time over the same windows
        state = MachineState.from_bytes(state.to_bytes(NEW), NEW, "reading")
        for verdict in [window(0, 1.5), window(1, 0), window(2, 2.5), window(3, 1.5)]:
            events += step(state.alerts, verdict, RULES).events
        events += open_silent(state.alerts, "m", 99 * HOP, RULES)
        events += close_silent(state.alerts, "m", 99 * HOP, RULES)
        state, closed = reset(state.to_bytes(NEW))
        events += closed
    ids = [ce_id(event.incident_id, number) for number, event in events]
    assert len(set(ids)) == len(ids) > 20
    assert not told & set(ids)


def test_numbers_after_a_reset_follow_the_highest_before_it() -> None:
    old, _ = old_state()
    state, _ = reset(old.to_bytes(OLD))  # the highest was 3
    events = step(state.alerts, window(0, 1.5), RULES).events
    events += step(state.alerts, window(1, 0.0), RULES).events
    assert [(number, e.event) for number, e in events] == [(4, "opened"), (5, "closed")]


def test_the_same_record_gives_the_same_events_and_the_same_state() -> None:
    record = old_state()[0].to_bytes(OLD)
    (one, first), (two, second) = reset(record), reset(record)
    assert (one.to_bytes(NEW), first) == (two.to_bytes(NEW), second)


PEAK = [1.5, 1.0, 1.0, 1.0, [], [], []]
NOT_AN_ID = ["x", at(0), PEAK, {}, [0, 1, 0.0, None, None], 0, 1, "warning", None]


def changed(**parts: object) -> bytes:
    return orjson.dumps(orjson.loads(old_state()[0].to_bytes(OLD)) | parts)


@pytest.mark.parametrize(
    ("record", "through"),
    [
        (b"", -1),
        (b"\xff\x00", -1),
        (b"[1, 2]", -1),
        (b"null", -1),
        (b'{"version": 1}', -1),
        (changed(through=None), -1),
        (changed(version=99), 99),
        (changed(alerts=[]), 99),
        (changed(alerts={"open": {"process": [1, 2]}}), 99),
        (changed(alerts={"silence": [1]}), 99),
        (
            changed(alerts={"open": {"process": ["no id", "x", [0] * 3 + [None] + [[]] * 3, {}]}}),
            99,
        ),
    ],
)
def test_of_a_record_that_cannot_be_read_nothing_is_told(record: bytes, through: int) -> None:
    state, events = reset(record)
    assert events == []
    assert (state.through, state.alerts) == (through, AlertState())


def test_only_the_silence_differs_between_the_records_of_a_silent_machine_and_of_another() -> None:
    state, _ = old_state()
    record = orjson.loads(state.to_bytes(OLD))
    assert record["alerts"].pop("silence") == [99 * HOP, 1, True]
    state.alerts.silence = None
    assert orjson.loads(state.to_bytes(OLD)) == record
