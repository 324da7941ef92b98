"""Events, delays and false alarms, by hand and by looking at every nanosecond."""

from __future__ import annotations

import json
from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_ad.errors import InputError
from stream_ad.evaluation import (
    Event,
    IncidentSpan,
    event_metrics,
    labelled_events,
    scored_days,
)

NAN = float("nan")
SECOND = 10**9
HOUR = 3600 * SECOND
machines = st.sampled_from(["a", "b"])


def test_runs_of_label_one_become_events_per_machine() -> None:
    machine = list("aababbaa")
    time = [0, 10, 10, 20, 20, 30, 30, 40]
    label = [1, 1, 0, 0, 1, 1, 1, 1]
    assert labelled_events(machine, time, label, 10) == [
        Event("a", 0, 20),
        Event("b", 20, 40),
        Event("a", 30, 50),
    ]


def test_rows_are_taken_in_time_order() -> None:
    assert labelled_events(["a"] * 4, [30, 0, 20, 10], [0, 0, 1, 1], 10) == [Event("a", 10, 30)]


def test_an_unlabelled_row_ends_an_event_and_a_gap_does_not() -> None:
    assert len(labelled_events(["a"] * 3, [0, 10, 20], [1, NAN, 1], 10)) == 2
    assert labelled_events(["a"] * 2, [0, 900], [1, 1], 10) == [Event("a", 0, 910)]


def test_rows_at_one_time_count_as_one() -> None:
    time, label = [0, 0, 10, 10, 20, 20], [1, 0, NAN, 1, 0, 1]
    assert labelled_events(["a"] * 6, time, label, 10) == [Event("a", 0, 30)]


def test_events_do_not_join_across_machines() -> None:
    assert labelled_events(["a", "b"], [0, 10], [1, 1], 10) == [
        Event("a", 0, 10),
        Event("b", 10, 20),
    ]


@pytest.mark.parametrize("label", [[], [0, 0], [NAN]])
def test_no_anomalous_row_makes_no_event(label: list[float]) -> None:
    assert labelled_events(["a"] * len(label), range(len(label)), label, 1) == []


@settings(deadline=None)
@given(
    st.dictionaries(
        st.tuples(machines, st.integers(0, 30)), st.sampled_from([0, 1, 1, NAN]), max_size=40
    ),
    st.randoms(use_true_random=False),
)
def test_events_equal_a_walk_over_the_rows(
    table: dict[tuple[str, int], float],
    random: Random,
) -> None:
    expected = []
    for name in "ab":
        open_event: list[int] | None = None
        for (_, time), value in sorted((k, v) for k, v in table.items() if k[0] == name):
            if value == 1:
                open_event = [open_event[0] if open_event else time, time + 1]
            if open_event and value != 1:
                expected.append(Event(name, *open_event))
                open_event = None
        if open_event:
            expected.append(Event(name, *open_event))
    rows = list(table.items())
    random.shuffle(rows)
    found = labelled_events(
        [key[0] for key, _ in rows], [key[1] for key, _ in rows], [y for _, y in rows], 1
    )
    assert sorted(found) == sorted(expected)


def test_event_figures_by_hand() -> None:
    events = [
        Event("a", 1 * HOUR, 3 * HOUR),
        Event("a", 10 * HOUR, 12 * HOUR),
        Event("b", 1 * HOUR, 2 * HOUR),
        Event("b", 20 * HOUR, 21 * HOUR),
    ]
    incidents = [
        IncidentSpan("a", 2 * HOUR, 4 * HOUR, opened_at=3 * HOUR),
        IncidentSpan("a", 1 * HOUR, 2 * HOUR, opened_at=2 * HOUR),
        IncidentSpan("a", 5 * HOUR, 6 * HOUR, opened_at=6 * HOUR),
        IncidentSpan("b", 19 * HOUR, None, opened_at=20 * HOUR + 30 * SECOND),
        IncidentSpan("c", 1 * HOUR, 2 * HOUR, opened_at=2 * HOUR),
    ]
    figures = event_metrics(events, incidents, scored_days=4.0, asked=0.25, hop_ns=HOUR // 2)
    assert (figures.events, figures.found, figures.event_recall) == (4, 2, 0.5)
    assert figures.median_delay_s == (3600 + 30) / 2
    assert figures.median_delay_windows == (3600 + 30) / 2 / 1800
    assert (figures.incidents, figures.false_alarms) == (5, 2)
    assert figures.false_alarms_per_machine_day == 0.5
    assert figures.asked == 0.25
    assert json.loads(json.dumps(figures.to_dict())) == figures.to_dict()


def test_intervals_that_only_touch_do_not_overlap() -> None:
    incidents = [("a", 0, 10, 5), ("a", 20, 30, 25)]
    figures = event_metrics([Event("a", 10, 20)], incidents, 1.0, None)
    assert (figures.found, figures.false_alarms) == (0, 2)
    assert figures.median_delay_s is None


def test_an_incident_that_was_open_before_the_event_has_no_delay() -> None:
    figures = event_metrics([Event("a", 100, 200)], [("a", 0, None, 50)], 1.0, None, hop_ns=10)
    assert (figures.median_delay_s, figures.median_delay_windows) == (0.0, 0.0)


def test_nothing_counted_is_none_and_not_zero() -> None:
    figures = event_metrics([], [], 0.0, 1.0)
    assert figures.event_recall is None
    assert figures.false_alarms_per_machine_day is None
    assert (figures.events, figures.incidents, figures.false_alarms) == (0, 0, 0)


spans = st.tuples(machines, st.integers(0, 20), st.integers(1, 6))


@settings(deadline=None)
@given(st.lists(spans), st.lists(st.tuples(spans, st.integers(0, 9), st.booleans())))
def test_event_figures_equal_sets_of_instants(
    labelled: list[tuple[str, int, int]],
    raised: list[tuple[tuple[str, int, int], int, bool]],
) -> None:
    events = [Event(name, start, start + length) for name, start, length in labelled]
    incidents = [
        (name, start, None if still_open else start + length, start + lag)
        for (name, start, length), lag, still_open in raised
    ]

    def instants(name: str, start: int, end: int | None) -> set[tuple[str, int]]:
        return {(name, instant) for instant in range(start, 60 if end is None else end)}

    delays = []
    for event in events:
        seen = [i for i in incidents if instants(*event) & instants(*i[:3])]
        if seen:
            delays.append(max(0, min(i[3] for i in seen) - event.start))
    false = [i for i in incidents if not any(instants(*e) & instants(*i[:3]) for e in events)]
    figures = event_metrics(events, incidents, 2.0, None, hop_ns=1)
    assert (figures.found, figures.false_alarms) == (len(delays), len(false))
    assert figures.median_delay_windows == (median(delays) if delays else None)
    assert figures.false_alarms_per_machine_day == len(false) / 2


def test_scored_time_is_one_hop_per_window_over_all_machines() -> None:
    assert scored_days(["a", "b", "a"], [0, 0, HOUR], HOUR) == 3 / 24
    assert scored_days(["a", "a"], [HOUR, HOUR], HOUR) == 1 / 24
    assert scored_days([], [], HOUR) == 0.0


def test_a_bad_label_is_named() -> None:
    with pytest.raises(InputError, match="label = -1"):
        labelled_events(["a"], [0], [-1], 10)
