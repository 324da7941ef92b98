"""Finished runs made by hand, for the tests of the report."""

from __future__ import annotations

from typing import Any

import numpy as np

from stream_ad.records import (
    ChannelEvidence,
    IncidentEvent,
    Kind,
    Neighbour,
    SensorEvidence,
    Severity,
    incident_id,
)
from stream_ad.report import IncidentView, Timeline, Trace
from stream_ad.windows.spec import NS, rfc3339

START = 1_704_067_200 * NS  # 2024-01-01
MINUTE = 60 * NS


def timeline(machine: str, score: list[float], **changes: Any) -> Timeline:
    values = np.array(score, float)
    time = START + MINUTE * np.arange(1, len(score) + 1)
    given: dict[str, Any] = {"static_score": values, "alarm": values > 1}
    return Timeline(machine, time, values, **(given | changes))


def incident(
    machine: str,
    *,
    at: int = 3,
    minutes: int = 2,
    severity: Severity = "error",
    score: float | None = 3.0,
    kind: Kind = "process",
    closed: bool = True,
    sensors: list[SensorEvidence] | None = None,
    traces: list[Trace] | None = None,
) -> IncidentView:
    """Return an incident from `at` minutes after START on."""
    started = rfc3339(START + at * MINUTE)
    leading = SensorEvidence(name="temp", unit="C", share=0.75, expected=20.0, actual=31.5)
    common = {
        "incident_id": incident_id(machine, kind, started),
        "kind": kind,
        "machine_id": machine,
        "machine_group": "default",
        "started_at": started,
        "window_start": started,
        "window_end": rfc3339(START + (at + minutes) * MINUTE),
        "score": score,
        "raw_score": score,
        "alarm_line": None if score is None else 1.0,
        "p_value": None if score is None else 0.002,
        "severity": severity,
        "sensors": [leading] if sensors is None else sensors,
        "evidence": [ChannelEvidence(channel="density", share=0.25)],
        "neighbours": [Neighbour(machine_id="older", start="2023-12-24T08:00:00Z", distance=0.5)],
        "missing_share": 0.0,
        "model_id": "default",
        "model_version": 1,
    }
    events = [IncidentEvent.model_validate(common | {"event": "opened"})]
    if closed:
        end = {"event": "closed", "closed_reason": "recovered"}
        events.append(IncidentEvent.model_validate(common | end))
    return IncidentView(events, [trace()] if traces is None else traces)


def trace(sensor: str = "temp", actual: list[float] | None = None) -> Trace:
    values = np.array([20.0, 21.0, np.nan, 31.5, 30.0] if actual is None else actual, np.float32)
    time = START + MINUTE * np.arange(len(values))
    return Trace(sensor, "C", time, values, np.full(len(values), 20.0))


METRICS: dict[str, Any] = {
    "budget": {
        "asked_per_machine_day": 1.0,
        "achieved_per_machine_day": 0.5,
        "supported": False,
        "supported_per_machine_day": 3.0,
        "needed_days": 12.0,
        "calibration_machine_days": 4.0,
    },
    "windows": {"scored": 24, "not_scored": 2},
    "counts": {"late": 7, "nothing": None},
    "ranking": {"auc_roc": 0.75, "auc_pr": float("nan"), "vus_pr": None},
    "at_line": {"f1": 0.5, "false_alarm_rate": 0.125},
    "events": {"events": 4, "found": 3, "median_delay_s": 90.0},
    "baselines": {"pca": {"ranking": {"auc_roc": 0.875}, "at_line": {"false_alarm_rate": 0.25}}},
    "model": {"name": "ae", "seed": 0, "latent_dim": None},
    "versions": {"torch": "2.4"},
}
