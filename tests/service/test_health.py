"""Alive is who turns and, where there is work, does it; ready is who could score."""

from __future__ import annotations

from stream_ad.service.health import Health
from tests.service.clock import Clock


def test_a_loop_that_stands_still_is_stuck(health: Health, clock: Clock) -> None:
    clock.now += 40
    assert health.stuck() is None
    clock.now += 1
    assert health.stuck() == "no turn of the loop for 41 s"
    health.turn()
    assert health.stuck() is None


def turn_for(health: Health, clock: Clock, seconds: int, lag: int, took: int = 0) -> str | None:
    for _ in range(seconds):
        clock.now += 1
        health.turn()
        health.lag(lag)
        health.took(took)
    return health.stuck()


def test_turning_without_taking_a_record_is_stuck_where_there_is_lag(
    health: Health, clock: Clock
) -> None:
    assert turn_for(health, clock, 121, lag=500) is None  # the first look is when it began
    assert (
        turn_for(health, clock, 1, lag=500) == "no record taken for 121 s at a lag of 500 records"
    )


def test_lag_that_is_worked_on_is_no_fault(health: Health, clock: Clock) -> None:
    assert turn_for(health, clock, 1_000, lag=500, took=7) is None


def test_an_idle_topic_is_no_fault_and_the_time_counts_from_the_first_lag(
    health: Health, clock: Clock
) -> None:
    assert turn_for(health, clock, 1_000, lag=0) is None
    assert turn_for(health, clock, 100, lag=9) is None
    assert turn_for(health, clock, 100, lag=9) is not None


def test_ready_needs_a_model_and_partitions_or_a_stable_member(health: Health) -> None:
    assert health.not_ready() == "no model is loaded"
    health.ready(4, model=False)
    assert health.not_ready() == "no model is loaded"
    health.ready(0, model=True, stable=False)
    assert "no partition" in (health.not_ready() or "")
    health.ready(0, model=True, stable=True)  # more workers than partitions
    assert health.not_ready() is None
    health.ready(4, model=True, stable=False)
    assert health.not_ready() is None


def test_a_worker_of_which_the_group_hears_nothing_is_not_ready(health: Health) -> None:
    health.ready(4, model=True, heard=False)
    assert "kafka.instance" in (health.not_ready() or "")
    health.ready(4, model=True)
    assert health.not_ready() is None
