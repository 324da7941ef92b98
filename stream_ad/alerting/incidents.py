"""From alarms to incidents: opened, updated, closed under one id.

A pure state machine per machine: ``(state, window) -> (state, events)``. No clock, nothing
shared between machines, and the same windows in any batches give the same events.
"""

from __future__ import annotations

from typing import NamedTuple

from stream_ad.alerting.events import Rules, Teller
from stream_ad.alerting.quality import Findings
from stream_ad.alerting.silence import close_silent
from stream_ad.alerting.state import Alarm, AlertState, OpenIncident, Peak, Seen
from stream_ad.alerting.verdict import WindowVerdict
from stream_ad.records import ClosedReason, IncidentEvent, Kind, incident_id
from stream_ad.windows.spec import rfc3339


class StepResult(NamedTuple):
    """What one window did.

    Parameters
    ----------
    events : list of (int, IncidentEvent)
        Each with its number within its incident, from 1; ``data_quality`` before ``drift``
        before ``process``.
    incident_id : str or None
        The announced process incident that the window belongs to; without one, that of drift.
    """

    events: list[tuple[int, IncidentEvent]]
    incident_id: str | None


def step(state: AlertState, verdict: WindowVerdict, rules: Rules) -> StepResult:
    """Take in the next closed window of a machine; ``state`` changes in place.

    Parameters
    ----------
    state : AlertState
        Of the verdict's machine.
    verdict : WindowVerdict
        Starts later than every window that this state has seen.
    rules : Rules

    Returns
    -------
    StepResult

    Notes
    -----
    An incident opens at the m-th alarm among the scored windows that start within the last
    n hops, and closes after ``close_after`` scored windows in a row without alarm. Windows
    that are not scored count for neither. What led to an incident is used up by it, so no
    two incidents start at the same window and no id repeats. ``updated`` needs another
    severity, or another leading sensor that also leads in the sum over the incident's bad
    windows: one odd window does not rename an incident.

    An incident of kind ``drift`` is open as long as scored windows are ``drifted``; it counts
    neither for m of n nor for ``close_after``. Its reason is ``labelled`` where it ends with the
    version by which an operator accepted what the machine had become.

    Examples
    --------
    >>> from stream_ad.alerting.verdict import Details
    >>> from stream_ad.config import AlarmConfig
    >>> rules = Rules(AlarmConfig(m=1, n=1, close_after=1), hop_ns=10**9, sensors=("a",))
    >>> state, why = AlertState(), lambda: Details([], [], [])
    >>> high = WindowVerdict("m", 0, 10**9, scored=True, alarm=True, score=2.5, explain=why)
    >>> [(n, e.event, e.severity) for n, e in step(state, high, rules).events]
    [(1, 'opened', 'error')]
    >>> low = WindowVerdict("m", 10**9, 2 * 10**9, scored=True, score=0.1)
    >>> [(n, e.event, e.closed_reason) for n, e in step(state, low, rules).events]
    [(2, 'closed', 'recovered')]
    """
    if not state.hears(verdict.alarm or verdict.drifted, verdict.quality):
        return StepResult([], None)
    teller = Teller(state, verdict.machine_id, rules)
    _quality(state, verdict, teller)
    if not verdict.scored:
        return StepResult(teller.events, None)
    drift = _drift(state, verdict, teller)
    return StepResult(teller.events, _process(state, verdict, teller) or drift)


def close_all(
    state: AlertState, machine_id: str, reason: ClosedReason, rules: Rules
) -> list[tuple[int, IncidentEvent]]:
    """Close every open incident of a machine for a reason other than quiet windows.

    The events carry the last window that each incident looked at. Alarms that had not yet
    led to an incident are forgotten. A silence comes last.

    Examples
    --------
    >>> from stream_ad.config import AlarmConfig
    >>> close_all(AlertState(), "m", "reset", Rules(AlarmConfig(), hop_ns=1, sensors=()))
    []
    """
    teller = Teller(state, machine_id, rules)
    for kind in sorted(state.open):
        teller.close(state.open.pop(kind), reason)
    state.recent.clear()
    since = state.silence.since if state.silence else 0
    return teller.events + close_silent(state, machine_id, since, rules, reason)


def _process(state: AlertState, verdict: WindowVerdict, teller: Teller) -> str | None:
    rules, incident = teller.rules, state.open.get("process")
    if incident is None:
        since = verdict.start - rules.memory_ns
        state.recent = [alarm for alarm in state.recent if alarm.start > since]
        if not verdict.alarm:
            return None
        _remember(state.recent, verdict, rules)
        if len(state.recent) < rules.alarm.m:
            return None
        incident = _from_alarms(state.recent, verdict)
        state.open["process"], state.recent = incident, []
        teller.tell(incident)
    elif verdict.alarm:
        peak = _peak(verdict) if verdict.score > incident.peak.height else None
        _worse(incident, verdict, peak, _shares(verdict, rules))
        teller.tell(incident)
    else:
        _better(state, incident, verdict, teller)
    return incident.incident_id if incident.number else None


def _drift(state: AlertState, verdict: WindowVerdict, teller: Teller) -> str | None:
    incident = state.open.get("drift")
    if not verdict.drifted:
        if incident is not None:
            other = incident.seen.model_version != verdict.model_version
            incident.seen = _seen("drift", verdict)
            reason: ClosedReason = "labelled" if other and verdict.accepted else "recovered"
            teller.close(state.open.pop("drift"), reason)
        return None
    if incident is None:
        incident = _new("drift", verdict.start, _peak(verdict), {}, verdict)
        state.open["drift"] = incident
    # one that can be explained is not followed by one that cannot
    higher = verdict.score > incident.peak.height and (verdict.explain or not incident.peak.sensors)
    _worse(incident, verdict, _peak(verdict) if higher else None, _shares(verdict, teller.rules))
    teller.tell(incident)
    return incident.incident_id if incident.number else None


def _quality(state: AlertState, verdict: WindowVerdict, teller: Teller) -> None:
    findings, incident = verdict.quality, state.open.get("data_quality")
    if findings is None:
        if incident is not None:
            _better(state, incident, verdict, teller)
        return
    if incident is None:
        incident = _new("data_quality", verdict.start, _quality_peak(findings), {}, verdict)
        state.open["data_quality"] = incident
    # among equally bad windows the latest: it names what is wrong now
    peak = _quality_peak(findings) if findings.share >= incident.peak.height else None
    _worse(incident, verdict, peak, {s.name: round(1000 * s.share) for s in findings.sensors})
    teller.tell(incident)


def _remember(recent: list[Alarm], verdict: WindowVerdict, rules: Rules) -> None:
    for alarm in recent:
        if alarm.peak and alarm.peak.height < verdict.score:
            alarm.peak = None
    recent.append(Alarm(verdict.start, _peak(verdict), _shares(verdict, rules)))


def _from_alarms(recent: list[Alarm], verdict: WindowVerdict) -> OpenIncident:
    peak = max((a.peak for a in recent if a.peak), key=lambda peak: peak.height)
    shares: dict[str, int] = {}
    for alarm in recent:
        _add(shares, alarm.shares)
    return _new("process", recent[0].start, peak, shares, verdict)


def _new(
    kind: Kind, start: int, peak: Peak, shares: dict[str, int], verdict: WindowVerdict
) -> OpenIncident:
    started_at = rfc3339(start)
    name = incident_id(verdict.machine_id, kind, started_at)
    return OpenIncident(kind, name, started_at, peak, shares, _seen(kind, verdict))


def _worse(
    incident: OpenIncident, verdict: WindowVerdict, peak: Peak | None, shares: dict[str, int]
) -> None:
    incident.quiet = 0
    incident.seen = _seen(incident.kind, verdict)
    incident.peak = peak or incident.peak
    _add(incident.shares, shares)


def _better(
    state: AlertState, incident: OpenIncident, verdict: WindowVerdict, teller: Teller
) -> None:
    incident.quiet += 1
    incident.seen = _seen(incident.kind, verdict)
    if incident.quiet >= teller.rules.alarm.close_after:
        del state.open[incident.kind]
        teller.close(incident, "recovered")


def _peak(verdict: WindowVerdict) -> Peak:
    score, raw = float(verdict.score), float(verdict.raw)
    line, p = float(verdict.line), float(verdict.p)
    if verdict.explain is None:  # drifted, and not alarming in itself
        return Peak(score, raw, line, p, (), None, None)
    why = verdict.explain()
    sensors, evidence = tuple(why.sensors), tuple(why.evidence)
    return Peak(score, raw, line, p, sensors, evidence, tuple(why.neighbours))


def _quality_peak(findings: Findings) -> Peak:
    return Peak(findings.share, None, None, None, findings.sensors, findings.channels, None)


def _shares(verdict: WindowVerdict, rules: Rules) -> dict[str, int]:
    """Whole thousandths: their sums are exact and the state stays short."""
    if verdict.sensor_share is None:
        return {}
    named = zip(rules.sensors, verdict.sensor_share.tolist(), strict=True)
    return {name: part for name, share in named if (part := round(1000 * share))}


def _add(total: dict[str, int], shares: dict[str, int]) -> None:
    for name, part in shares.items():
        total[name] = total.get(name, 0) + part


def _seen(kind: Kind, verdict: WindowVerdict) -> Seen:
    model = (verdict.model_id, verdict.model_version)
    if kind == "data_quality":
        model = (None, None)
    return Seen(verdict.start, verdict.end, float(verdict.missing_share), *model)
