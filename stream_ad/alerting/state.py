"""What one machine remembers between windows about its incidents: small and JSON-safe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stream_ad.alerting.drift import LineState
from stream_ad.alerting.standing import QualityState
from stream_ad.records import ChannelEvidence, Kind, Neighbour, SensorEvidence, Severity


@dataclass(frozen=True, slots=True)
class Peak:
    """The window that describes an incident: the highest one so far.

    Parameters
    ----------
    height : float
        What windows are compared by: the score, or the share of bad cells.
    raw, line, p : float or None
        Raw score, alarm line and p-value; None where the kind has none.
    sensors, evidence, neighbours : tuple or None
        As in the event record; the leading sensor is the first.
    """

    height: float
    raw: float | None
    line: float | None
    p: float | None
    sensors: tuple[SensorEvidence, ...]
    evidence: tuple[ChannelEvidence, ...] | None
    neighbours: tuple[Neighbour, ...] | None

    @property
    def leader(self) -> str | None:
        """Name of the leading sensor."""
        return self.sensors[0].name if self.sensors else None

    def to_list(self) -> list[Any]:
        """Return JSON values; rows without field names, since every machine keeps some."""
        sensors = [[s.name, s.unit, s.share, s.expected, s.actual] for s in self.sensors]
        known, near = self.evidence, self.neighbours
        evidence = None if known is None else [[e.channel, e.share] for e in known]
        rows = None if near is None else [[w.machine_id, w.start, w.distance] for w in near]
        return [self.height, self.raw, self.line, self.p, sensors, evidence, rows]

    @classmethod
    def from_list(cls, row: list[Any]) -> Peak:
        """Read back what ``to_list`` gave."""
        height, raw, line, p, sensors, evidence, near = row
        return cls(
            height,
            raw,
            line,
            p,
            tuple(
                SensorEvidence(name=n, unit=u, share=s, expected=e, actual=a)
                for n, u, s, e, a in sensors
            ),
            None
            if evidence is None
            else tuple(ChannelEvidence(channel=c, share=s) for c, s in evidence),
            None
            if near is None
            else tuple(Neighbour(machine_id=m, start=s, distance=d) for m, s, d in near),
        )


class Seen(NamedTuple):
    """A window as an event names it: ``[start, end)`` in nanoseconds, and what scored it."""

    start: int
    end: int
    missing_share: float
    model_id: str | None
    model_version: int | None


@dataclass(slots=True)
class Alarm:
    """An alarming window that may yet belong to an incident.

    Parameters
    ----------
    start : int
        Start of the window in nanoseconds.
    peak : Peak or None
        Its description; None once a later alarm is higher, which then describes any
        incident that both belong to.
    shares : dict of str to int
        Thousandths of the evidence per sensor.
    """

    start: int
    peak: Peak | None
    shares: dict[str, int]


@dataclass(slots=True)
class OpenIncident:
    """An incident that has not closed.

    Parameters
    ----------
    kind, incident_id, started_at : str
    peak : Peak
    shares : dict of str to int
        Thousandths of the evidence per sensor, summed over the incident's bad windows.
    seen : Seen
        The last window it looked at.
    quiet : int
        Windows since the last bad one.
    number : int
        Events sent so far; 0 while the incident is below ``min_severity``.
    severity, leader : str or None
        As told by the last event.
    """

    kind: Kind
    incident_id: str
    started_at: str
    peak: Peak
    shares: dict[str, int]
    seen: Seen
    quiet: int = 0
    number: int = 0
    severity: Severity = "info"
    leader: str | None = None

    def to_list(self) -> list[Any]:
        """Return JSON values."""
        head = [self.incident_id, self.started_at, self.peak.to_list(), self.shares]
        return [*head, list(self.seen), self.quiet, self.number, self.severity, self.leader]

    @classmethod
    def from_list(cls, kind: Kind, row: list[Any]) -> OpenIncident:
        """Read back what ``to_list`` gave."""
        name, started_at, peak, shares, seen, *rest = row
        return cls(kind, name, started_at, Peak.from_list(peak), dict(shares), Seen(*seen), *rest)


@dataclass(slots=True)
class Silence:
    """What is known of a machine that sent nothing for long.

    Parameters
    ----------
    since : int
        Event time of its last reading, in nanoseconds.
    number : int
        Number of the last event told of it.
    open : bool
        False once a reading returned that was not newer than ``since``.
    """

    since: int
    number: int
    open: bool = False


@dataclass(slots=True)
class AlertState:
    """Everything that alerting remembers of one machine.

    Parameters
    ----------
    recent : list of Alarm
        Alarming windows of the last n hops that no incident has taken up, oldest first.
    open : dict of str to OpenIncident
        At most one per kind.
    quality : QualityState
        Since when the watched sensors stand still.
    line : LineState
        Where the alarm line stands.
    reference : LineState or None
        Where that of the version stands that later ones are held against; None before those.
    silence : Silence or None
        Made by a clock, not by records: read by `open_silent` and `close_silent` alone.
    base : int
        Numbers of events follow it: more than 0 after a reset, so that none repeats.
    most : int
        Highest number of an event told so far, those of silences apart.

    Examples
    --------
    >>> AlertState().to_dict()
    {}
    >>> AlertState.from_dict({}) == AlertState()
    True
    """

    recent: list[Alarm] = field(default_factory=list)
    open: dict[Kind, OpenIncident] = field(default_factory=dict)
    quality: QualityState = field(default_factory=QualityState)
    line: LineState = field(default_factory=LineState)
    silence: Silence | None = None
    base: int = 0
    most: int = 0
    reference: LineState | None = None

    def against(self, version: int | str, *, anew: bool = False) -> LineState:
        """Return the line of the version to be held against, to be asked for before ``line`` moves.

        It goes on from where the machine stood when that version was the one in force, or with
        the account of the drift so far.

        Parameters
        ----------
        version : int or str
            Its key.
        anew : bool
            An operator has accepted with that version what the machine had become: its account
            begins anew.
        """
        if self.reference is None or self.reference.version != version:
            if self.line.version == version:
                self.reference = LineState.from_list(self.line.to_list())
            else:
                self.reference = self._account(version, anew=anew)
        return self.reference

    def judged_by(self, version: int | str, *, anew: bool) -> None:
        """Let the line go on with a version that drift is judged by from now on.

        Parameters
        ----------
        version, anew
            As of `against`.
        """
        if self.line.version not in {None, version} and (anew or self.reference is not None):
            self.line, self.reference = self._account(version, anew=anew), None

    def _account(self, version: int | str, *, anew: bool) -> LineState:
        """Return a line of another version that goes on with the account of the drift so far."""
        # a line that is held against an earlier version keeps no account of its own
        known = self.reference or self.line
        if anew or known.version is None:
            return LineState(version=version, through=known.through)
        line = LineState.from_list(known.to_list())
        line.begin(version)
        return line

    def hears(self, alarm: bool, findings: object) -> bool:
        """Say whether a window can change anything: most are quiet and cannot."""
        return bool(alarm or findings or self.open or self.recent)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; what is empty is left out."""
        state: dict[str, Any] = {}
        if self.recent:
            state["recent"] = [
                [a.start, a.peak and a.peak.to_list(), a.shares] for a in self.recent
            ]
        if self.open:
            state["open"] = {kind: incident.to_list() for kind, incident in self.open.items()}
        if quality := self.quality.to_dict():
            state["quality"] = quality
        if line := self.line.to_list():
            state["line"] = line
        if self.reference is not None:
            state["reference"] = self.reference.to_list()
        if self.silence is not None:
            state["silence"] = [self.silence.since, self.silence.number, self.silence.open]
        if self.most:
            state["numbers"] = [self.base, self.most]
        return state

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> AlertState:
        """Read back what ``to_dict`` gave."""
        silence, (base, most) = state.get("silence"), state.get("numbers", (0, 0))
        return cls(
            [
                Alarm(start, peak and Peak.from_list(peak), dict(shares))
                for start, peak, shares in state.get("recent", ())
            ],
            {
                kind: OpenIncident.from_list(kind, row)
                for kind, row in state.get("open", {}).items()
            },
            QualityState.from_dict(state.get("quality", {})),
            LineState.from_list(state.get("line", ())),
            silence and Silence(*silence),
            base,
            most,
            LineState.from_list(state["reference"]) if "reference" in state else None,
        )
