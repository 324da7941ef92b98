"""What windows count as: by incidents, by labels, and as time goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_ad.records import IncidentEvent, LabelRecord
from stream_ad.training.quarantine import (
    ANOMALY,
    BESIDE,
    CLOSED,
    FREE,
    NORMAL,
    OPEN,
    Quarantine,
)
from tests.training.told import HOP, WIDE, WINDOW, WORDS, event, label

KEPT, SETTLE = 100, 3 * HOP


def quarantine() -> Quarantine:
    return Quarantine(WINDOW, KEPT, {}, SETTLE)


def words(known: Quarantine, now: int, starts: range, machine: str = "m") -> list[int]:
    start = np.array(starts, np.int64)
    machines: NDArray[np.object_] = np.full(len(start), machine, object)
    return list(known.status(machines, start, now).tolist())


def at(known: Quarantine, start: int, now: int, machine: str = "m") -> int:
    return words(known, now, range(start, start + 1), machine)[0]


# ------------------------------------------------------------------ by hand


def test_an_open_incident_keeps_out_all_that_reaches_into_it_and_all_that_follows() -> None:
    known = quarantine()
    known.tell(event(1, "m", 100, 108))
    assert words(known, 1000, range(84, 108, 4)) == [FREE, *[OPEN] * 5]  # 84 ends where it begins
    assert at(known, 900, 1000) == OPEN
    assert at(known, 100, 1000, "another") == FREE


def test_a_closed_one_keeps_out_what_ends_by_its_end_until_the_quarantine_lapses() -> None:
    known = quarantine()
    known.tell(event(1, "m", 100, 108))
    known.tell(event(1, "m", 100, 120, "closed"))  # ends at 136
    starts = range(112, 132, 4)
    assert words(known, 136, starts) == [CLOSED, CLOSED, CLOSED, FREE, FREE]
    assert words(known, 136 + KEPT - 1, starts) == [CLOSED, CLOSED, CLOSED, FREE, FREE]
    assert words(known, 136 + KEPT, starts) == [FREE] * 5
    assert words(known, 135, starts) == [OPEN, OPEN, OPEN, FREE, FREE]


@pytest.mark.parametrize("kind", ["data_quality", "silent"])
def test_incidents_that_are_not_of_the_process_keep_nothing_out(
    kind: Literal["data_quality", "silent"],
) -> None:
    known = quarantine()
    known.tell(event(1, "m", 100, 108, kind=kind))
    assert at(known, 100, 1000) == FREE
    assert "m" not in known


def test_of_an_anomaly_what_was_loud_teaches_and_its_edges_never_do() -> None:
    """Bad from 100 to 120; three quiet hops closed it with the window at 132."""
    known = quarantine()
    known.tell(event(1, "m", 100, 108))
    known.tell(event(1, "m", 100, 132, "closed"))
    known.label(label(1, "m", 100, 148, 200, "anomaly"))
    edge = [BESIDE] * 3
    expected = [FREE, *edge, *[ANOMALY] * 6, *edge, FREE]
    assert words(known, 10_000, range(84, 140, 4)) == expected
    assert at(known, 100, 199) == CLOSED  # before the label counts


def test_an_anomaly_that_lasts_is_one_up_to_now_but_for_what_may_be_its_end() -> None:
    known = quarantine()
    known.tell(event(1, "m", 100, 108))
    known.label(label(1, "m", 100, None, 150, "anomaly"))
    last = 300 - WINDOW - SETTLE
    assert words(known, 300, range(last, last + 5, 4)) == [ANOMALY, BESIDE]


def test_normal_counts_for_what_had_been_seen_when_it_was_said() -> None:
    known = quarantine()
    known.tell(event(1, "m", 100, 108))
    known.label(label(1, "m", 100, None, 140))
    starts = range(92, 136, 4)
    seen = [FREE, FREE, *[NORMAL] * 7]  # the last of them is at 124 and ends at 140
    assert words(known, 500, starts) == [*seen, OPEN, OPEN]
    known.tell(event(1, "m", 100, 500, "closed"))
    assert words(known, 520, starts) == [*seen, CLOSED, CLOSED]
    assert words(known, 516 + KEPT, starts) == [*seen, FREE, FREE]


def test_new_normal_counts_to_the_end_of_its_incident() -> None:
    known = quarantine()
    known.tell(event(1, "m", 100, 108))
    known.label(label(1, "m", 100, None, 140, new_normal="machine"))
    assert at(known, 400, 500) == NORMAL
    assert at(known, 96, 500) == FREE
    assert known.new_normal(139) == frozenset()
    assert known.new_normal(140) == {"m"}


def test_new_normal_of_a_machine_speaks_for_what_else_was_open_on_it() -> None:
    known = quarantine()
    known.tell(event(1, "m", 100, 108))
    known.tell(event(2, "m", 200, 208, kind="drift"))
    known.tell(event(3, "m", 300, 308))
    known.tell(event(4, "n", 200, 208))
    known.label(label(1, "m", 100, 160, 260, new_normal="machine"))
    assert at(known, 200, 500) == NORMAL
    assert at(known, 290, 500) == NORMAL
    assert at(known, 200, 500, "n") == OPEN


def test_new_normal_of_the_group_makes_normal_what_was_open_then_from_the_change_on() -> None:
    known = quarantine()
    known.tell(event(1, "a", 100, 108))
    known.tell(event(2, "b", 60, 68))  # began before the change
    known.tell(event(3, "c", 110, 118))
    known.tell(event(3, "c", 110, 124, "closed"))  # over before the word was given: ends at 140
    known.tell(event(4, "d", 250, 258))  # not yet open
    known.tell(event(5, "e", 100, 108))
    known.label(label(5, "e", 100, None, 190, "anomaly"))  # has a label of its own
    known.label(label(1, "a", 100, None, 200, new_normal="group"))
    now = 220
    assert words(known, now, range(92, 104, 4), "a") == [FREE, FREE, NORMAL]
    assert words(known, now, range(92, 104, 4), "b") == [OPEN, OPEN, NORMAL]
    assert at(known, 112, now, "c") == CLOSED
    assert at(known, 260, 300, "d") == OPEN
    assert at(known, 112, now, "e") == ANOMALY
    assert known.new_normal(now) == {"*"}
    known.tell(event(2, "b", 60, 284, "closed"))  # ends at 300
    assert words(known, 400 + KEPT, range(280, 292, 4), "b") == [NORMAL, NORMAL, FREE]


def test_the_last_label_of_an_incident_counts_and_an_unknown_incident_is_understood() -> None:
    known = quarantine()
    known.label(label(1, "m", 100, 148, 200, "anomaly"))
    assert at(known, 100, 200) == ANOMALY
    known.label(label(1, "m", 100, 148, 210, "normal"))
    assert at(known, 100, 210) == NORMAL


def test_an_incident_of_which_only_a_label_tells_lasted_until_that_was_given() -> None:
    """As when the alerts topic no longer has it: nothing says that it goes on."""
    known = quarantine()
    known.label(label(1, "m", 100, None, 150, "anomaly"))
    starts = range(120, 140, 4)
    assert words(known, 500, starts) == [ANOMALY, *[BESIDE] * 3, FREE]
    known.tell(event(1, "m", 100, 108))
    assert words(known, 500, starts) == [ANOMALY] * 5


def test_a_label_said_again_is_nothing_new() -> None:
    known = quarantine()
    for _ in range(3):
        known.label(label(1, "m", 100, 148, 200))
    assert known.labels == 1
    known.label(label(1, "m", 100, 148, 200, "anomaly"))
    assert known.labels == 2


def test_an_incident_counts_for_windows_that_it_was_told_of_in_time() -> None:
    known = quarantine()
    known.tell(event(1, "m", 100, 160))
    start = np.arange(100, 120, 4)
    assert known.covers("m", start).all()
    assert known.covers("m", start, start + 52).tolist() == [False, False, True, True, True]


# ------------------------------------------------------------------ against a slow oracle


@dataclass
class Life:
    """An incident with all that is ever said of it."""

    name: int
    machine: str
    since: int
    told: int
    closing: int | None
    labels: list[LabelRecord] = field(default_factory=list)

    @property
    def end(self) -> int | None:
        return None if self.closing is None else self.closing + WINDOW

    def events(self) -> list[IncidentEvent]:
        told = [event(self.name, self.machine, self.since, self.told)]
        told.append(event(self.name, self.machine, self.since, self.told + HOP, "updated"))
        if self.closing is not None:
            told.append(event(self.name, self.machine, self.since, self.closing, "closed"))
        return told


@st.composite
def lives(draw: st.DrawFn) -> list[Life]:
    found = []
    for name in range(draw(st.integers(0, 6))):
        since = draw(st.integers(0, 60)) * HOP
        told = since + draw(st.integers(0, 20)) * HOP
        lasts = draw(st.one_of(st.none(), st.integers(1, 40)))
        closing = None if lasts is None else told + lasts * HOP
        life = Life(name, draw(st.sampled_from("ab")), since, told, closing)
        for _ in range(draw(st.integers(0, 2))):
            at = told + draw(st.integers(0, 60)) * HOP
            word = draw(st.sampled_from(WORDS))
            wide = draw(st.sampled_from(WIDE[:1] if word == "anomaly" else WIDE))
            life.labels.append(label(name, life.machine, since, life.end, at, word, wide))
        found.append(life)
    return found


def heard(life: Life, now: int) -> tuple[str, str, int] | None:
    if not life.labels:
        return None
    last = life.labels[-1]
    at = int(np.datetime64(last.labelled_at.removesuffix("Z"), "ns").astype(np.int64))
    return (last.label, last.new_normal, at) if at <= now else None


def oracle(all_lives: list[Life], machine: str, start: int, now: int) -> int:
    """Say what a window counts as, one incident and one rule after another."""
    said = [FREE]
    for life in all_lives:
        end = float("inf") if life.end is None else life.end
        if life.machine != machine or not (life.since < start + WINDOW <= end):
            continue
        label_, still_open = heard(life, now), now < end
        unlabelled = OPEN if still_open else CLOSED if now < end + KEPT else FREE
        if label_ is None:
            said.append(unlabelled)
            for other in all_lives:
                change = heard(other, now)
                if change is None or change[1] == "no":
                    continue
                same = change[1] == "group" or other.machine == machine
                was_open = life.told <= change[2] < end
                if same and was_open and start >= max(other.since, life.since):
                    said.append(NORMAL)
        elif label_[0] == "anomaly":
            said.append(BESIDE)
            quiet_from = min(end, now) - SETTLE
            if start == life.since or (start > life.since and start + WINDOW <= quiet_from):
                said.append(ANOMALY)
        elif start >= life.since:
            seen = label_[1] != "no" or start + WINDOW <= label_[2]
            said.append(NORMAL if seen else unlabelled)
    return max(said)


@settings(max_examples=200, deadline=None)
@given(found=lives(), now=st.integers(0, 150).map(lambda n: n * HOP), seed=st.integers(0, 99))
def test_what_windows_count_as_agrees_with_rules_applied_one_by_one(
    found: list[Life], now: int, seed: int
) -> None:
    known = quarantine()
    told: list[IncidentEvent] = [one for life in found for one in life.events()]
    rng = np.random.default_rng(seed)
    for i in rng.permutation(len(told)).tolist() + rng.permutation(len(told)).tolist():
        known.tell(told[i])  # in any order, everything twice
    for life in found:
        for one in life.labels:
            known.label(one)
    machine = np.array([name for name in "abc" for _ in range(60)], object)
    start = np.array([*range(-40, 200, 4)] * 3, np.int64)
    shuffled = rng.permutation(len(start))
    status = known.status(machine[shuffled], start[shuffled], now)
    rows = zip(machine[shuffled], start[shuffled].tolist(), strict=True)
    assert status.tolist() == [oracle(found, name, first, now) for name, first in rows]


@settings(max_examples=150, deadline=None)
@given(found=lives(), now=st.integers(0, 150).map(lambda n: n * HOP), since=st.integers(-10, 60))
def test_what_is_forgotten_is_missed_by_no_window_that_is_there_or_may_come(
    found: list[Life], now: int, since: int
) -> None:
    known = quarantine()
    for life in found:
        for one in life.events():
            known.tell(one)
        for said in life.labels:
            known.label(said)
    oldest, unripe = since * HOP, (since + 20) * HOP
    start = np.arange(oldest, oldest + 400, 1)
    ripe = start < unripe
    machine = np.full(len(start), "a", object)
    before = [known.status(machine, start, later) for later in range(now, now + 300, 50)]
    covered = known.covers("a", start[~ripe])
    known.forget(now, {"a": unripe}, {"a": oldest})
    after = [known.status(machine, start, later) for later in range(now, now + 300, 50)]
    assert np.array_equal(before, after)
    assert np.array_equal(known.covers("a", start[~ripe]), covered)


def test_a_machine_of_which_nothing_was_seen_keeps_its_incidents() -> None:
    known = quarantine()
    for name in "mn":
        known.tell(event(ord(name), name, 100, 108))
        known.tell(event(ord(name), name, 100, 120, "closed"))
    known.forget(10_000, {"m": 9_000}, {"m": 9_000})
    assert "m" not in known
    assert "n" in known


def test_what_nobody_labelled_is_forgotten_once_its_quarantine_is_over() -> None:
    known = quarantine()
    for name in range(50):
        known.tell(event(name, "m", 100 * name, 100 * name + 8))
        known.tell(event(name, "m", 100 * name, 100 * name + 20, "closed"))
    known.forget(10_000, {"m": 9_000}, {"m": 0})
    assert known.record == {}


@settings(max_examples=50, deadline=None)
@given(found=lives(), now=st.integers(0, 150).map(lambda n: n * HOP))
def test_its_record_goes_through_json_and_says_the_same(found: list[Life], now: int) -> None:
    known = quarantine()
    for life in found:
        for one in life.events():
            known.tell(one)
        for said in life.labels:
            known.label(said)
    again = Quarantine(WINDOW, KEPT, orjson.loads(orjson.dumps(known.record)), SETTLE)
    for name in "ab":
        assert words(again, now, range(0, 400, 4), name) == words(
            known, now, range(0, 400, 4), name
        )
    assert again.new_normal(now) == known.new_normal(now)
