"""Records on the wire: what enters and what leaves, as JSON values.

These models are the declared schema (``stream-ad config schema`` prints them) and the
judge of every record that a faster path does not accept at once. Field names of other
people's records are mapped before they arrive here (``input.fields``).
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=249)]
MachineName = Name | int  # many producers number their machines; the number becomes text
Time = int | float | str
Cell = float | None
Kind = Literal["process", "data_quality", "drift", "silent"]
Event = Literal["opened", "updated", "closed"]
ClosedReason = Literal["recovered", "labelled", "moved", "reset"]
Severity = Literal["info", "warning", "error", "critical"]


class _Input(BaseModel):
    """Input records ignore what they do not know: producers add fields freely."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=True)


class _Output(BaseModel):
    """Output records are exactly what the schema says."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ReadingRecord(_Input):
    """Values of some sensors of one machine at one time (``input.format: reading``).

    ``time`` is RFC 3339, an epoch number in ``input.time_unit`` or, with
    ``input.time_zone``, naive local time. A null, NaN or infinite value is missing.

    Examples
    --------
    >>> ReadingRecord(machine_id="press-1", time=1700000000000, values={"temp": 21.5}).values
    {'temp': 21.5}
    """

    machine_id: MachineName
    time: Time
    values: dict[str, Cell]


class LongRecord(_Input):
    """One value of one sensor (``input.format: long``).

    Examples
    --------
    >>> LongRecord(machine_id="press-1", time="2024-01-01T00:00:00Z", sensor="temp", value=None)
    LongRecord(machine_id='press-1', time='2024-01-01T00:00:00Z', sensor='temp', value=None, \
quality=None)
    """

    machine_id: MachineName
    time: Time
    sensor: Name
    value: Cell
    quality: int | str | None = None


class WindowRecord(_Input):
    """A window made by somebody else (``input.format: window``).

    ``values`` is T rows of C cells in the order of ``sensors``; ``mask`` is true where a
    cell is missing. ``start`` need not lie on the grid.

    Examples
    --------
    >>> w = WindowRecord(machine_id="m", start=0, period_s=1, sensors=["a"], values=[[1], [None]])
    >>> len(w.values)
    2
    """

    machine_id: MachineName
    start: Time
    period_s: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    sensors: list[Name]
    values: list[list[Cell]]
    mask: list[list[bool]] | None = None


class SensorEvidence(_Output):
    """One sensor's part in an incident; ``share`` of all sensors sums to at most 1.

    ``expected`` and ``actual`` are in the sensor's own unit, at the slot of the window
    where the two lie farthest apart.

    Examples
    --------
    >>> SensorEvidence(name="temp", unit="C", share=0.8, expected=20.0, actual=31.5).name
    'temp'
    """

    name: str
    unit: str | None
    share: Annotated[float, Field(ge=0, le=1)]
    expected: float | None
    actual: float | None


class ChannelEvidence(_Output):
    """How much one line of evidence contributed.

    Examples
    --------
    >>> ChannelEvidence(channel="density", share=0.25).share
    0.25
    """

    channel: str
    share: Annotated[float, Field(ge=0, le=1)]


class Neighbour(_Output):
    """A normal window of the past that the anomalous one resembles most.

    Examples
    --------
    >>> Neighbour(machine_id="m", start="2024-01-01T00:00:00Z", distance=0.5).distance
    0.5
    """

    machine_id: str
    start: str
    distance: float


class IncidentEvent(_Output):
    """One event in the life of an incident, as the alerts topic and ``alerts.jsonl`` carry it.

    ``score``, ``raw_score``, ``alarm_line``, ``p_value``, ``sensors`` and ``neighbours``
    describe the incident's highest window so far; ``window_start`` and ``window_end`` are
    those of the window that caused this event. Fields that a kind does not have are null.
    """

    incident_id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    kind: Kind
    event: Event
    closed_reason: ClosedReason | None = None
    machine_id: str
    machine_group: str
    started_at: str
    window_start: str
    window_end: str
    score: float | None
    raw_score: float | None
    alarm_line: float | None
    p_value: float | None
    severity: Severity
    sensors: list[SensorEvidence]
    evidence: list[ChannelEvidence] | None
    neighbours: list[Neighbour] | None
    missing_share: float
    model_id: str | None
    model_version: int | None


class ScoreRecord(_Output):
    """The score of one window, as the scores topic and a row of ``scores.csv`` carry it."""

    machine_id: str
    window_start: str
    window_end: str
    score: float
    p_value: float
    alarm: bool
    static_score: float
    raw_score: float
    incident_id: str | None
    model_version: int


class LabelRecord(_Output):
    """What an operator says of an incident; key of the labels topic: the incident's id.

    The last one of an incident counts. It names machine and span, so that whoever never saw the
    incident understands it. ``started_at`` and ``ended_at`` are event times; ``ended_at`` is null
    while the incident is open. ``labelled_at`` is the event time from which on the label counts.
    ``new_normal`` says that what the incident shows is what is normal from now on: for its
    machine, or for all machines of its group.

    Examples
    --------
    >>> label = LabelRecord(incident_id="0123456789abcdef", label="normal", machine_id="m",
    ...     machine_group="default", started_at="2024-01-01T00:00:00Z", ended_at=None,
    ...     labelled_at="2024-01-02T00:00:00Z", new_normal="machine")
    >>> LabelRecord.model_validate_json(label.model_dump_json()) == label
    True
    """

    incident_id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    label: Literal["normal", "anomaly"]
    machine_id: str
    machine_group: str
    started_at: str
    ended_at: str | None
    labelled_at: str
    new_normal: Literal["no", "machine", "group"] = "no"


class ModelRecord(_Output):
    """The announcement of a promotion; key of the models topic: ``GROUP/PROMOTION``.

    Parameters
    ----------
    machine_group : str
    promotion : int
        Counts promotions of the group from 1, a rollback among them.
    model_version : int
        Of the registry.
    card_sha256 : str
        Digest of the artifact's card, which holds those of its other files.
    effective_from : str
        RFC 3339: the first window end that it may score.
    reference : int
        Version that drift is judged by.
    reason : str
    """

    machine_group: str
    promotion: int
    model_version: int
    card_sha256: str
    effective_from: str
    reference: int
    reason: str


class ActivationRecord(_Output):
    """The first input offset of a partition from which on a promotion counts.

    It lies in the same partition of the state topic, under a key of group and offset.
    """

    machine_group: str
    promotion: int
    model_version: int
    first_offset: int


def incident_id(machine_id: str, kind: Kind, started_at: str) -> str:
    """Return the id that a replay gives the same incident again.

    Parameters
    ----------
    machine_id, kind : str
        Whose incident, of which kind.
    started_at : str
        RFC 3339 start of the earliest of the m windows that opened it.

    Returns
    -------
    str
        First 16 hex digits of the SHA-256 over the three, each ended by a zero byte so that
        no two different triples join to the same text.

    Examples
    --------
    >>> a = incident_id("press-1", "process", "2024-01-01T00:00:00Z")
    >>> len(a), a == incident_id("press-1", "drift", "2024-01-01T00:00:00Z")
    (16, False)
    """
    joined = "".join(f"{part}\0" for part in (machine_id, kind, started_at))
    return hashlib.sha256(joined.encode()).hexdigest()[:16]
