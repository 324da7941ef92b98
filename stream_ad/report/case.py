"""Incidents as the page tells them: sorted, numbered, with their ends and their labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_ad.records import IncidentEvent, SensorEvidence
from stream_ad.report.chart import Span
from stream_ad.report.views import IncidentView, Timeline, Trace
from stream_ad.windows.spec import parse_rfc3339

RANK: Final = {"info": 0, "warning": 1, "error": 2, "critical": 3}
# Not by colour alone: every severity has a shape as well.
SHAPE: Final = {
    "info": "\N{WHITE CIRCLE}",
    "warning": "\N{BLACK CIRCLE}",
    "error": "\N{BLACK UP-POINTING TRIANGLE}",
    "critical": "\N{BLACK DIAMOND}",
}
KIND: Final = {
    "process": "process",
    "data_quality": "data quality",
    "drift": "drift",
    "silent": "silent",
}
QUIET: Final = frozenset({"data_quality", "silent"})


@dataclass(frozen=True)
class Case:
    """One incident.

    Parameters
    ----------
    number : int
        Its place on the page, from 1.
    event : IncidentEvent
        Its last event, which describes its highest window.
    sensors : list of SensorEvidence
        The leading ones first.
    traces : list of Trace
    start, end : int
        Nanoseconds; an open incident ends with its machine's last window.
    labelled : bool or None
        Whether it overlaps a labelled anomaly; None where the run has no labels.
    later : float or None
        Higher score that came after the last event of an open incident.
    """

    number: int
    event: IncidentEvent
    sensors: list[SensorEvidence]
    traces: list[Trace]
    start: int
    end: int
    labelled: bool | None
    later: float | None

    @property
    def open(self) -> bool:
        """Whether the recording ended before the incident did."""
        return self.event.event != "closed"

    @property
    def span(self) -> Span:
        """Start and end."""
        return self.start, self.end

    @property
    def anchor(self) -> str:
        """Id of its element on the page."""
        return f"incident-{self.event.incident_id}"


def cases(views: Iterable[IncidentView], timelines: Sequence[Timeline]) -> list[Case]:
    """Return process and drift incidents, the most severe first."""
    return _told((v for v in views if v.events and v.events[0].kind not in QUIET), timelines)


def quiet_cases(views: Iterable[IncidentView], timelines: Sequence[Timeline]) -> list[Case]:
    """Return incidents of the data rather than of the machine, the most severe first."""
    return _told((v for v in views if v.events and v.events[0].kind in QUIET), timelines)


def _told(views: Iterable[IncidentView], timelines: Sequence[Timeline]) -> list[Case]:
    scored = {t.machine_id: t for t in timelines if len(t.time)}
    spans = {t.machine_id: merged(t.label_spans) for t in timelines}
    labels = spans if any(spans.values()) else None
    ordered = sorted(views, key=_severest_first)
    return [
        _case(i, view, scored.get(view.events[-1].machine_id), labels)
        for i, view in enumerate(ordered, 1)
    ]


def _severest_first(view: IncidentView) -> tuple[int, float, str, str, str]:
    event = view.events[-1]
    score = -event.score if event.score is not None else 0.0
    return -RANK[event.severity], score, event.started_at, event.machine_id, event.incident_id


def _case(
    number: int,
    view: IncidentView,
    timeline: Timeline | None,
    labels: Mapping[str, list[Span]] | None,
) -> Case:
    event = view.events[-1]
    start, end = parse_rfc3339(event.started_at), parse_rfc3339(event.window_end)
    later = None
    if event.event != "closed" and timeline is not None:
        later = _later(event, end, timeline)
        end = max(end, int(timeline.time[-1]))
    sensors = next((list(e.sensors) for e in reversed(view.events) if e.sensors), [])
    sensors.sort(key=lambda sensor: -sensor.share)
    labelled = None if labels is None else overlaps((start, end), labels.get(event.machine_id, []))
    traces = _leading(view.traces, sensors)
    return Case(number, event, sensors, traces, start, end, labelled, later)


def _later(event: IncidentEvent, told: int, timeline: Timeline) -> float | None:
    """Return the highest score since the last event, where that is news."""
    since = timeline.score[timeline.time > told]
    top = float(np.max(since, initial=-np.inf, where=np.isfinite(since)))
    return top if event.score is not None and top > event.score else None


def _leading(traces: Iterable[Trace], sensors: Sequence[SensorEvidence]) -> list[Trace]:
    place = {sensor.name: i for i, sensor in enumerate(sensors)}
    return sorted(traces, key=lambda trace: place.get(trace.sensor, len(place)))


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join spans that touch or overlap.

    Examples
    --------
    >>> merged([(5, 9), (0, 2), (2, 4), (6, 7)])
    [(0, 4), (5, 9)]
    """
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def overlaps(span: Span, others: Iterable[Span]) -> bool:
    """Tell whether a span shares time with any other.

    Examples
    --------
    >>> overlaps((0, 5), [(5, 6)]), overlaps((0, 5), [(4, 6)])
    (False, True)
    """
    return any(span[0] < end and start < span[1] for start, end in others)
