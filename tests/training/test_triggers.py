"""When it is time to train anew, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.config import TrainingConfig
from stream_ad.training.triggers import Cause, Triggers
from stream_ad.windows.spec import NS


def triggers(record: dict[str, Any] | None = None, **settings: Any) -> Triggers:
    return Triggers(TrainingConfig(**settings), {} if record is None else record)


def kind(of: Triggers, second: float) -> str | None:
    cause = of.cause(round(second * NS))
    return None if cause is None else cause.kind


def test_without_a_trigger_it_is_never_time() -> None:
    t = triggers()
    t.trained(0)
    t.saw(10**9)
    t.labelled(10**6)
    t.drifted("everything moved")
    assert kind(t, 1e12) is None


def test_a_schedule_counts_event_time_from_the_last_training() -> None:
    t = triggers(every_s=100)
    t.trained(0)
    assert kind(t, 99.999) is None
    assert t.cause(100 * NS) == Cause(
        "schedule", "due since 1970-01-01T00:01:40Z (training.every_s = 100)"
    )
    t.trained(150 * NS)
    assert kind(t, 249) is None
    assert kind(t, 250) == "schedule"


def test_the_first_look_begins_the_schedule() -> None:
    t = triggers(every_s=100, cool_down_s=50)
    assert kind(t, 1000) is None
    assert kind(t, 1099) is None
    assert kind(t, 1100) == "schedule"


def test_what_is_due_at_the_first_look_does_not_wait() -> None:
    t = triggers(every_windows=10, cool_down_s=50)
    t.saw(10)
    assert kind(t, 1000) == "windows"


def test_windows_are_counted_and_the_beat_is_kept() -> None:
    t = triggers(every_windows=100)
    t.trained(0)
    t.saw(99)
    assert kind(t, 1) is None
    t.saw(31)
    assert t.cause(NS) == Cause("windows", "130 new windows (training.every_windows = 100)")
    t.trained(NS)
    t.saw(69)
    assert kind(t, 2) is None
    t.saw(1)
    assert kind(t, 2) == "windows"


@given(st.lists(st.integers(1, 60), max_size=60), st.integers(10, 40))
def test_batches_do_not_move_the_beat_of_windows(batches: list[int], every: int) -> None:
    """As many trainings as whole beats, unless a batch holds several."""
    t, made = triggers(every_windows=every), 0
    t.trained(0)
    for batch in batches:
        t.saw(batch)
        if t.cause(NS) is not None:
            t.trained(NS)
            made += 1
    total, crossed = 0, 0
    for batch in batches:
        crossed += (total + batch) // every > total // every
        total += batch
    assert made == crossed


def test_a_training_for_another_reason_begins_the_count_anew() -> None:
    t = triggers(every_windows=100)
    t.trained(0)
    t.saw(90)
    t.asked("anna")
    assert t.cause(NS) == Cause("asked", "asked for by anna")
    t.trained(NS)
    t.saw(99)
    assert kind(t, 2) is None


def test_labels_wait_for_their_number_but_a_new_normal_does_not() -> None:
    t = triggers(on_labels=3)
    t.trained(0)
    t.labelled(2)
    assert kind(t, 1) is None
    t.labelled(1)
    assert t.cause(NS) == Cause("labels", "3 new labels (training.on_labels = 3)")
    t.trained(NS)
    assert kind(t, 2) is None
    never = triggers()
    never.trained(0)
    never.labelled(1, new_normal=1)
    assert never.cause(NS) == Cause(
        "new_normal", "a label says that what was odd is normal from now on"
    )


def test_drift_counts_where_it_is_asked_for() -> None:
    t = triggers(on_drift=True)
    t.trained(0)
    t.drifted("m has moved")
    assert t.cause(NS) == Cause("drift", "m has moved (training.on_drift)")
    t.trained(NS)
    assert kind(t, 2) is None


def test_causes_wait_during_the_cool_down_and_are_not_lost() -> None:
    t = triggers(every_windows=10, on_drift=True, on_labels=1, cool_down_s=60)
    t.trained(0)
    t.saw(10)
    t.drifted("m has moved")
    t.labelled(1, new_normal=1)
    t.asked("anna")
    assert kind(t, 59.9) is None
    assert kind(t, 60) == "asked"


def test_of_several_causes_what_people_said_is_told() -> None:
    t = triggers(every_s=1, every_windows=10, on_drift=True, on_labels=1)
    t.trained(0)
    told = []
    steps: list[Callable[[], None]] = [
        lambda: None,
        lambda: t.saw(10),
        lambda: t.drifted("m has moved"),
        lambda: t.labelled(1),
        lambda: t.labelled(1, new_normal=1),
        lambda: t.asked("anna"),
    ]
    for step in steps:
        step()
        told.append(kind(t, 5))
    assert told == ["schedule", "windows", "drift", "labels", "new_normal", "asked"]
    t.trained(5 * NS)
    assert kind(t, 5.5) is None


def test_asking_changes_nothing() -> None:
    t = triggers(every_windows=10)
    t.trained(0)
    t.saw(10)
    before = json.dumps(t.record)
    assert t.cause(NS) == t.cause(NS)
    assert json.dumps(t.record) == before


@pytest.mark.parametrize("cut", range(6))
def test_it_goes_on_from_its_record(cut: int) -> None:
    settings: dict[str, Any] = {"every_windows": 10, "on_labels": 2, "cool_down_s": 5}
    steps: list[Callable[[Triggers], None]] = [
        lambda t: t.trained(0),
        lambda t: t.saw(7),
        lambda t: t.labelled(1),
        lambda t: t.asked("anna"),
        lambda t: t.drifted("m"),
        lambda t: t.saw(4),
    ]
    whole, first = triggers(**settings), triggers(**settings)
    for step in steps:
        step(whole)
    for step in steps[:cut]:
        step(first)
    second = triggers(json.loads(json.dumps(first.record)), **settings)
    for step in steps[cut:]:
        step(second)
    assert second.record == whole.record
    assert second.cause(9 * NS) == whole.cause(9 * NS)


def test_what_came_to_nothing_is_tried_once_more_after_ten_minutes() -> None:
    t = triggers(every_s=10**6, cool_down_s=10**6)
    t.trained(0)
    t.asked("anna")
    cause = Cause("asked", "asked for by anna")
    t.trained(5 * NS)
    t.undecided(cause, 5 * NS)
    assert kind(t, 604) is None
    assert t.cause(605 * NS) == cause
    t.trained(605 * NS)
    assert kind(t, 10**5) is None
