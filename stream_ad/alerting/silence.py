"""Machines that send nothing: incidents that a clock makes, not a record.

Only here does alerting hear of the wall clock, and only from its caller. What is remembered
stands apart in the state and nothing else reads it, so all other outputs are the same bytes
whether a silence was noticed or not.
"""

from __future__ import annotations

from stream_ad.alerting.events import SEVERITIES, Rules
from stream_ad.alerting.state import AlertState, Silence
from stream_ad.records import ClosedReason, IncidentEvent, Severity, incident_id
from stream_ad.windows.spec import rfc3339

SEVERITY: Severity = "warning"


def open_silent(
    state: AlertState, machine_id: str, last_reading_ns: int, rules: Rules
) -> list[tuple[int, IncidentEvent]]:
    """Open an incident for a machine that has sent nothing for ``idle_s`` of wall clock.

    Parameters
    ----------
    state : AlertState
        Of that machine; changes in place.
    machine_id : str
    last_reading_ns : int
        Event time of the newest reading that was accepted; the incident's id derives from it,
        so whoever notices the same silence gives it the same id.
    rules : Rules

    Returns
    -------
    list of (int, IncidentEvent)
        Empty where the incident is open already, and where ``min_severity`` is above a warning.
        A machine that was heard of again without a newer reading (a late one, say), and fell
        silent once more, opens the same incident under its next number.

    Examples
    --------
    >>> from stream_ad.config import AlarmConfig
    >>> state, rules = AlertState(), Rules(AlarmConfig(), hop_ns=1, sensors=())
    >>> [(n, e.event, e.started_at) for n, e in open_silent(state, "m", 0, rules)]
    [(1, 'opened', '1970-01-01T00:00:00Z')]
    >>> open_silent(state, "m", 0, rules)
    []
    >>> [(n, e.event, e.closed_reason) for n, e in close_silent(state, "m", 10**9, rules)]
    [(2, 'closed', 'recovered')]
    """
    silence = state.silence
    if silence is not None and silence.open:
        return []
    if SEVERITIES.index(SEVERITY) < SEVERITIES.index(rules.alarm.min_severity):
        return []
    if silence is None or silence.since != last_reading_ns:
        silence = state.silence = Silence(last_reading_ns, state.base)
    silence.open = True
    return [_tell(silence, machine_id, rules, last_reading_ns)]


def close_silent(
    state: AlertState,
    machine_id: str,
    newest_ns: int,
    rules: Rules,
    reason: ClosedReason = "recovered",
) -> list[tuple[int, IncidentEvent]]:
    """Close the incident of a silent machine, as a rule because a reading arrived.

    Parameters
    ----------
    state, machine_id, rules
        As `open_silent`.
    newest_ns : int
        Event time of the newest reading accepted by now.
    reason : str

    Returns
    -------
    list of (int, IncidentEvent)
        Empty where no such incident is open.
    """
    silence = state.silence
    if silence is None:
        return []
    was_open, silence.open = silence.open, False
    events = [_tell(silence, machine_id, rules, newest_ns, reason)] if was_open else []
    if newest_ns > silence.since:
        state.silence = None  # the next silence has another id
    return events


def _tell(
    silence: Silence,
    machine_id: str,
    rules: Rules,
    until: int,
    reason: ClosedReason | None = None,
) -> tuple[int, IncidentEvent]:
    silence.number += 1
    started_at = rfc3339(silence.since)
    return silence.number, IncidentEvent(
        incident_id=incident_id(machine_id, "silent", started_at),
        kind="silent",
        event="closed" if reason else "opened",
        closed_reason=reason,
        machine_id=machine_id,
        machine_group=rules.machine_group,
        started_at=started_at,
        window_start=started_at,
        window_end=rfc3339(max(until, silence.since)),
        score=None,
        raw_score=None,
        alarm_line=None,
        p_value=None,
        severity=SEVERITY,
        sensors=[],
        evidence=None,
        neighbours=None,
        missing_share=1.0,
        model_id=None,
        model_version=None,
    )
