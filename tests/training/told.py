"""Incidents as they are told of, and what operators say of them, in few words."""

from __future__ import annotations

from typing import Literal

from stream_ad.records import Event, IncidentEvent, Kind, LabelRecord
from stream_ad.windows import rfc3339

WINDOW, HOP = 16, 4
Word = Literal["normal", "anomaly"]
Wide = Literal["no", "machine", "group"]
WORDS: tuple[Word, ...] = ("normal", "anomaly")
WIDE: tuple[Wide, ...] = ("no", "machine", "group")


def event(
    name: int,
    machine: str,
    since: int,
    at: int,
    what: Event = "opened",
    kind: Kind = "process",
) -> IncidentEvent:
    """Return an event that the window which starts at a time caused."""
    return IncidentEvent(
        incident_id=f"{name:016x}",
        kind=kind,
        event=what,
        machine_id=machine,
        machine_group="default",
        started_at=rfc3339(since),
        window_start=rfc3339(at),
        window_end=rfc3339(at + WINDOW),
        score=2.0,
        raw_score=2.0,
        alarm_line=1.0,
        p_value=0.01,
        severity="warning",
        sensors=[],
        evidence=[],
        neighbours=[],
        missing_share=0.0,
        model_id="default",
        model_version=1,
    )


def label(
    name: int,
    machine: str,
    since: int,
    end: int | None,
    at: int,
    word: Word = "normal",
    new_normal: Wide = "no",
) -> LabelRecord:
    return LabelRecord(
        incident_id=f"{name:016x}",
        label=word,
        machine_id=machine,
        machine_group="default",
        started_at=rfc3339(since),
        ended_at=None if end is None else rfc3339(end),
        labelled_at=rfc3339(at),
        new_normal=new_normal,
    )
