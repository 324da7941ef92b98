"""From what was told of an incident to what an operator says of it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal

import orjson
from pydantic import ValidationError

from stream_ad.errors import ConfigError, InputError
from stream_ad.records import IncidentEvent, LabelRecord
from stream_ad.transport.lines import reading
from stream_ad.windows import rfc3339
from stream_ad.windows.spec import parse_rfc3339

KINDS = ("process", "drift")
NEAREST = 3

Word = Literal["normal", "anomaly"]
NewNormal = Literal["no", "machine", "group"]


def find_told(alerts: Path, incident_id: str) -> list[IncidentEvent]:
    """Return what a file of incidents tells of one of them.

    Parameters
    ----------
    alerts : Path
        ``alerts.jsonl`` of a replay.
    incident_id : str

    Raises
    ------
    InputError
        For a file that cannot be read, or a line of it that is no incident event.
    ConfigError
        For an incident that it does not know, with the ids that are nearest.
    """
    others: dict[str, str] = {}
    found: list[IncidentEvent] = []
    with reading(alerts), alerts.open("rb") as file:
        for number, line in enumerate(file, 1):
            event = _event(alerts, number, line)
            if event["incident_id"] == incident_id:
                found.append(_validated(alerts, number, line))
            elif event["kind"] in KINDS:
                others[event["incident_id"]] = f"{event['machine_id']}, {event['started_at']}"
    if not found:
        raise ConfigError("INCIDENT_ID", incident_id, _nearest(alerts, incident_id, others))
    return found


def label_of(
    events: Sequence[IncidentEvent],
    word: Word,
    new_normal: NewNormal = "no",
    labelled_at: int | None = None,
) -> LabelRecord:
    """Return a label of an incident.

    Parameters
    ----------
    events : sequence of IncidentEvent
        Of that incident, at least one.
    word : {"normal", "anomaly"}
    new_normal : {"no", "machine", "group"}
        Whether what it shows is normal from now on, and where.
    labelled_at : int, optional
        From when on the label counts, in ns; by default the end of the last window that the events
        name: as if said at once.

    Raises
    ------
    ConfigError
        For an incident that is no matter of what is normal, an anomaly that is said to be normal,
        or a label from before its incident.

    Examples
    --------
    >>> from stream_ad.records import incident_id
    >>> at = "2024-01-01T00:00:00Z"
    >>> event = IncidentEvent(incident_id=incident_id("m", "process", at), kind="process",
    ...     event="opened", machine_id="m", machine_group="default", started_at=at,
    ...     window_start=at, window_end="2024-01-01T00:01:00Z", score=2, raw_score=2, alarm_line=1,
    ...     p_value=0, severity="warning", sensors=[], evidence=None, neighbours=None,
    ...     missing_share=0, model_id=None, model_version=None)
    >>> label = label_of([event], "normal")
    >>> label.ended_at, label.labelled_at
    (None, '2024-01-01T00:01:00Z')
    """
    first = events[0]
    if first.kind not in KINDS:
        allowed = f"one of kind {' or '.join(KINDS)}: this one is {first.kind}"
        raise ConfigError("INCIDENT_ID", first.incident_id, allowed)
    if word == "anomaly" and new_normal != "no":
        raise ConfigError("--new-normal", word, "together with normal: an anomaly is no new normal")
    ends = [parse_rfc3339(event.window_end) for event in events]
    closed = [end for end, event in zip(ends, events, strict=True) if event.event == "closed"]
    at = max(ends) if labelled_at is None else labelled_at
    if at < parse_rfc3339(first.started_at):
        raise ConfigError(
            "--at", rfc3339(at), f"a time after the incident began, {first.started_at}"
        )
    return LabelRecord(
        incident_id=first.incident_id,
        label=word,
        machine_id=first.machine_id,
        machine_group=first.machine_group,
        started_at=first.started_at,
        ended_at=rfc3339(max(closed)) if closed else None,
        labelled_at=rfc3339(at),
        new_normal=new_normal,
    )


def _event(path: Path, number: int, line: bytes) -> dict[str, str]:
    try:
        event: dict[str, str] = orjson.loads(line)
        _ = event["incident_id"], event["kind"], event["machine_id"], event["started_at"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}, line {number}: no incident event") from error
    return event


def _validated(path: Path, number: int, line: bytes) -> IncidentEvent:
    try:
        return IncidentEvent.model_validate_json(line)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise InputError(f"{path}, line {number}: no incident event: {said}") from error


def _nearest(alerts: Path, incident_id: str, others: dict[str, str]) -> str:
    if not others:
        return f"an incident of {alerts}, and that has none that could be labelled"
    matcher = SequenceMatcher(b=incident_id, autojunk=False)

    def likeness(other: str) -> tuple[bool, float, str]:
        matcher.set_seq1(other)
        return not other.startswith(incident_id), -matcher.ratio(), other

    nearest = sorted(others, key=likeness)[:NEAREST]
    named = "; ".join(f"{other} ({others[other]})" for other in nearest)
    return f"one of the {len(others):,} incidents of {alerts}, nearest: {named}"
