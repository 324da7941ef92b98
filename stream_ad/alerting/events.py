"""What an incident tells the world, and when it is worth telling."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream_ad.alerting.state import AlertState, OpenIncident
from stream_ad.config import AlarmConfig
from stream_ad.records import ClosedReason, Event, IncidentEvent, Kind, Severity
from stream_ad.windows.spec import WindowSpec, rfc3339

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")
FIXED: dict[Kind, Severity] = {"data_quality": "info", "drift": "error"}


@dataclass(frozen=True, slots=True)
class Rules:
    """How alarms of a machine group become incidents.

    Parameters
    ----------
    alarm : AlarmConfig
        ``m`` of ``n``, ``close_after``, bounds of severity, ``min_severity``.
    hop_ns : int
        Time between the starts of two windows.
    sensors : tuple of str
        Names of the C sensors in column order.
    machine_group : str

    Examples
    --------
    >>> Rules(AlarmConfig(n=3), hop_ns=10, sensors=("a",)).memory_ns
    30
    """

    alarm: AlarmConfig
    hop_ns: int
    sensors: tuple[str, ...]
    machine_group: str = "default"
    memory_ns: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory_ns", self.alarm.n * self.hop_ns)

    @classmethod
    def of(cls, alarm: AlarmConfig, spec: WindowSpec, machine_group: str = "default") -> Rules:
        """Take hop and sensor names from the window grid."""
        return cls(alarm, spec.hop_ns, spec.names, machine_group)

    def severity(self, incident: OpenIncident) -> Severity:
        """Grade an incident: by its kind, one of the process by the highest score so far."""
        if incident.kind in FIXED:
            return FIXED[incident.kind]
        score, bounds = incident.peak.height, self.alarm.severity
        if score > bounds.critical:
            return "critical"
        return "error" if score > bounds.error else "warning"


def ce_id(incident: str, number: int) -> str:
    """Return the id of an event: the same for a replay, different for every event.

    Examples
    --------
    >>> ce_id("0123456789abcdef", 2)
    '0123456789abcdef-2'
    """
    return f"{incident}-{number}"


@dataclass(frozen=True, slots=True)
class Teller:
    """Collects the events of one machine.

    Parameters
    ----------
    state : AlertState
        Of that machine: keeps count of the numbers.
    machine_id : str
    rules : Rules
    events : list of (int, IncidentEvent)
        Each with its number within its incident: from 1, or after a reset from where no
        number was used before.
    """

    state: AlertState
    machine_id: str
    rules: Rules
    events: list[tuple[int, IncidentEvent]] = field(default_factory=list)

    def tell(self, incident: OpenIncident) -> None:
        """Send ``opened`` once the incident is severe enough, ``updated`` when it changed."""
        severity = self.rules.severity(incident)
        if not incident.number:
            if SEVERITIES.index(severity) >= SEVERITIES.index(self.rules.alarm.min_severity):
                self._send(incident, "opened")
        elif severity != incident.severity or _leader_changed(incident):
            self._send(incident, "updated")

    def close(self, incident: OpenIncident, reason: ClosedReason) -> None:
        """Send ``closed`` for an incident that was announced."""
        if incident.number:
            self._send(incident, "closed", reason)

    def _send(
        self, incident: OpenIncident, event: Event, reason: ClosedReason | None = None
    ) -> None:
        peak, seen = incident.peak, incident.seen
        incident.number += 1
        incident.severity, incident.leader = self.rules.severity(incident), peak.leader
        record = IncidentEvent(
            incident_id=incident.incident_id,
            kind=incident.kind,
            event=event,
            closed_reason=reason,
            machine_id=self.machine_id,
            machine_group=self.rules.machine_group,
            started_at=incident.started_at,
            window_start=rfc3339(seen.start),
            window_end=rfc3339(seen.end),
            score=None if peak.raw is None else peak.height,
            raw_score=peak.raw,
            alarm_line=peak.line,
            p_value=peak.p,
            severity=incident.severity,
            sensors=list(peak.sensors),
            evidence=None if peak.evidence is None else list(peak.evidence),
            neighbours=None if peak.neighbours is None else list(peak.neighbours),
            missing_share=seen.missing_share,
            model_id=seen.model_id,
            model_version=seen.model_version,
        )
        number = self.state.base + incident.number
        self.state.most = max(self.state.most, number)
        self.events.append((number, record))


def _leader_changed(incident: OpenIncident) -> bool:
    """Whether another sensor leads the highest window, and more than the old one over time."""
    old, new = incident.leader, incident.peak.leader
    if new is None or new == old:
        return False
    return old is None or incident.shares.get(new, 0) > incident.shares.get(old, 0)
