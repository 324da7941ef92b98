"""What a worker tells is what Prometheus reads."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from stream_ad.records import ClosedReason, Event, IncidentEvent, Kind, Severity
from stream_ad.service.metrics import MOST_REASONS, Metrics
from stream_ad.transport.base import DeadLetter, Outputs, ScoreRow, Told

DAY_S = 86_400.0


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return all samples as a scrape reads them, without the prefix."""
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {
        (sample.name.removeprefix("stream_ad_"), frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, frozenset(labels.items())))


def told(
    name: str,
    event: Event,
    severity: Severity = "warning",
    kind: Kind = "process",
    reason: ClosedReason | None = None,
) -> Told:
    return Told(
        1,
        IncidentEvent(
            incident_id=name,
            kind=kind,
            event=event,
            closed_reason=reason,
            machine_id="press-7",
            machine_group="default",
            started_at="2024-01-01T00:00:00Z",
            window_start="2024-01-01T00:00:00Z",
            window_end="2024-01-01T00:01:00Z",
            score=None,
            raw_score=None,
            alarm_line=None,
            p_value=None,
            severity=severity,
            sensors=[],
            evidence=None,
            neighbours=None,
            missing_share=0.0,
            model_id=None,
            model_version=None,
        ),
    )


def outputs(scores: int = 0, incidents: list[Told] | None = None, dead: str = "") -> Outputs:
    row = ScoreRow("press-7", 0, 1, 0.5, 0.5, False, 0.5, 0.5, None, 1)
    letters = [DeadLetter.of(0, b"{", reason, "cause") for reason in dead.split()]
    return Outputs([row] * scores, incidents or [], letters)


def test_lag_is_told_in_records_and_event_time() -> None:
    metrics = Metrics()
    metrics.polled(3, 500, 70, newest_event_ns=100 * 10**9, now=104.5)
    assert value(metrics, "records_total", partition="3") == 500
    assert value(metrics, "consumer_lag_records", partition="3") == 70
    assert value(metrics, "consumer_lag_seconds", partition="3") == 4.5


def test_event_time_lag_grows_while_nothing_arrives() -> None:
    metrics = Metrics()
    metrics.polled(0, 1, 0, newest_event_ns=100 * 10**9, now=101.0)
    metrics.polled(0, 0, 0, now=161.0)
    assert value(metrics, "consumer_lag_seconds", partition="0") == 61.0


def test_lag_of_a_partition_given_away_is_gone_and_totals_stay() -> None:
    metrics = Metrics()
    for partition in (0, 1):
        metrics.polled(partition, 5, 9, newest_event_ns=10**9, now=2.0)
    metrics.forget([1, 7])
    found = samples(metrics)
    lags = {labels for name, labels in found if name.startswith("consumer_lag")}
    assert lags == {frozenset({("partition", "0")})}
    assert value(metrics, "records_total", partition="1") == 5


def test_a_partition_that_comes_back_does_not_show_its_old_event_time() -> None:
    metrics = Metrics()
    metrics.polled(0, 5, 9, newest_event_ns=10**9, now=2.0)
    metrics.forget([0])
    metrics.polled(0, 0, 9, now=50.0)
    assert value(metrics, "consumer_lag_seconds", partition="0") is None


def test_a_committed_transaction_counts_windows_incidents_and_dead_letters() -> None:
    metrics = Metrics()
    opened = told("0" * 16, "opened", "error")
    metrics.delivered(outputs(3, [opened], "InvalidJson InvalidJson BadKey"), 0.02)
    metrics.delivered(outputs(2), 0.02)
    assert value(metrics, "windows_scored_total") == 5
    assert value(metrics, "dead_letters_total", reason="InvalidJson") == 2
    assert value(metrics, "dead_letters_total", reason="BadKey") == 1
    labels = {"kind": "process", "severity": "error", "event": "opened"}
    assert value(metrics, "incident_events_total", **labels) == 1
    assert value(metrics, "transactions_committed_total") == 2
    assert value(metrics, "transactions_aborted_total") == 0


def test_an_aborted_transaction_counts_nothing_else() -> None:
    metrics = Metrics()
    metrics.aborted()
    assert value(metrics, "transactions_aborted_total") == 1
    assert value(metrics, "transactions_committed_total") == 0


def test_latency_is_observed_once_for_each_poll_and_the_transaction_once() -> None:
    metrics = Metrics()
    metrics.delivered(outputs(4), 0.02, waited=[0.3, 0.04])
    assert value(metrics, "score_latency_seconds_count") == 2
    assert value(metrics, "score_latency_seconds_sum") == pytest.approx(0.34)
    assert value(metrics, "score_latency_seconds_bucket", le="0.05") == 1
    assert value(metrics, "transaction_seconds_count") == 1


LIVES = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(["opened", "updated", "closed"]),
        st.sampled_from(["info", "warning", "error", "critical"]),
    ),
    max_size=30,
)


@settings(max_examples=40)
@given(LIVES, st.dictionaries(st.integers(0, 4), st.sampled_from(["warning", "critical"])))
def test_open_incidents_are_those_of_a_ledger(
    lives: list[tuple[int, Event, Severity]], before: Mapping[int, str]
) -> None:
    metrics = Metrics()
    ledger = {f"{number:016x}": severity for number, severity in before.items()}
    metrics.incidents_open(ledger)
    for number, event, severity in lives:
        name = f"{number:016x}"
        metrics.delivered(outputs(0, [told(name, event, severity)]), 0.01)
        ledger.pop(name, None)
        if event != "closed":
            ledger[name] = severity
    for severity in ("info", "warning", "error", "critical"):
        open_now = sum(held == severity for held in ledger.values())
        assert value(metrics, "incidents_open", severity=severity) == open_now


def test_no_open_incident_is_a_zero_and_not_an_absence() -> None:
    assert value(Metrics(), "incidents_open", severity="critical") == 0


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("late", "readings_unused_total"),
        ("jump", "readings_unused_total"),
        ("repeated", "readings_unused_total"),
        ("too_much_missing", "windows_not_scored_total"),
        ("no_model", "windows_not_scored_total"),
        ("before_model", "windows_not_scored_total"),
        ("not_a_number", "input_remarks_total"),
        ("naive_time_as_utc", "input_remarks_total"),
    ],
)
def test_a_reason_is_counted_where_it_belongs(reason: str, name: str) -> None:
    metrics = Metrics()
    metrics.counted(reason, 3)
    metrics.counted(reason, 4)
    assert value(metrics, name, reason=reason) == 7


def test_muted_windows_are_counted_and_no_time_in_which_alarms_could_come() -> None:
    metrics = Metrics()
    metrics.budget(0.5, hop_s=DAY_S / 4)
    metrics.counted("muted", 4)
    metrics.delivered(outputs(12, [told("0" * 16, "opened")]), 0.01)
    assert value(metrics, "windows_scored_total") == 12
    assert value(metrics, "windows_muted_total") == 4
    assert value(metrics, "process_incidents_per_machine_day") == 1 / 2


def test_moves_of_alarm_lines_are_counted_and_the_farthest_is_shown() -> None:
    metrics = Metrics()
    metrics.counted("line_moved", 2)
    metrics.line_offset(1.25)
    assert value(metrics, "line_moves_total") == 2
    assert value(metrics, "line_offset_max") == 1.25


def test_totals_told_elsewhere_are_not_counted_twice() -> None:
    metrics = Metrics()
    before = samples(metrics).keys()
    for reason in ("records", "windows", "scored"):
        metrics.counted(reason, 9)
    assert samples(metrics).keys() == before


def test_reasons_without_end_become_one() -> None:
    metrics = Metrics()
    for number in range(3 * MOST_REASONS):
        metrics.delivered(outputs(dead=f"Cause{number}"), 0.01)
    names = [labels for name, labels in samples(metrics) if name == "dead_letters_total"]
    assert len(names) == MOST_REASONS + 1
    assert value(metrics, "dead_letters_total", reason="other") == 2 * MOST_REASONS


def test_no_series_names_a_machine() -> None:
    metrics = Metrics()
    metrics.delivered(outputs(1, [told("0" * 16, "opened")], "InvalidJson"), 0.01)
    assert b"press-7" not in generate_latest(metrics.registry)


def test_the_model_of_each_group_shows_its_version_and_ages() -> None:
    metrics, group = Metrics(), {"machine_group": "presses"}
    assert value(metrics, "model_version", **group) is None
    metrics.model("presses", 4, since_ns=int((time.time() - 100) * 1e9), promotion=7)
    metrics.model("default", 9, since_ns=0)
    assert value(metrics, "model_version", **group) == 4
    assert value(metrics, "model_promotion", **group) == 7
    assert value(metrics, "model_age_seconds", **group) == pytest.approx(100, abs=5)


def test_promotions_that_come_wait_or_cannot_be_loaded_are_counted() -> None:
    metrics = Metrics()
    metrics.promoted(2)
    metrics.promotions_waiting(3)
    metrics.load_failed()
    assert value(metrics, "model_promotions_total") == 2
    assert value(metrics, "model_promotions_waiting") == 3
    assert value(metrics, "model_load_failures_total") == 1


def test_the_budget_achieved_is_opened_process_incidents_by_days_of_scored_time() -> None:
    metrics = Metrics()
    metrics.budget(0.5, hop_s=DAY_S / 4)
    incidents = [told(f"{n:016x}", "opened") for n in range(3)]
    incidents += [told("9" * 16, "opened", kind="data_quality"), told("0" * 16, "updated")]
    metrics.delivered(outputs(3, incidents), 0.01)
    assert value(metrics, "alarm_budget_per_machine_day") == 0.5
    assert math.isnan(value(metrics, "process_incidents_per_machine_day") or 0)  # not a day yet
    metrics.delivered(outputs(5), 0.01)
    assert value(metrics, "process_incidents_per_machine_day") == 3 / 2


def test_assignment_and_restore_show() -> None:
    metrics = Metrics()
    metrics.rebalanced(4)
    metrics.rebalanced(2)
    metrics.restored(0.7)
    metrics.machines(40)
    metrics.two_partitions(1)
    assert value(metrics, "rebalances_total") == 2
    assert value(metrics, "partitions_assigned") == 2
    assert value(metrics, "restore_seconds_sum") == 0.7
    assert value(metrics, "machines") == 40
    assert value(metrics, "machines_in_two_partitions") == 1
