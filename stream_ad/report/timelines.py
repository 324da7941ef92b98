"""The section of timelines: one chart of scores per machine, the troubled ones first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_ad.report import chart
from stream_ad.report.axes import HEIGHT, TimeAxis, ValueAxis
from stream_ad.report.case import KIND, QUIET, RANK, SHAPE, Case, merged, overlaps
from stream_ad.report.chart import Bands, Flag, Line, Span
from stream_ad.report.markup import Html, name_of, tag
from stream_ad.report.phrases import clock, count, number
from stream_ad.report.thinning import highest, stretches
from stream_ad.report.views import Timeline

MOST_MACHINES: Final = 20
MOST_POINTS: Final = 4_000  # per line: more than a screen has columns
MOST_FLAGS: Final = 200
_EXPLAINED: Final = (
    "0 is an ordinary window, 1 the alarm line. Above the line the axis is logarithmic. "
    "Times are UTC."
)


def timelines_section(
    timelines: Sequence[Timeline], told: Sequence[Case], quiet: Sequence[Case]
) -> Html:
    """Return the timelines of the machines that matter most."""
    of_machine: dict[str, list[Case]] = defaultdict(list)
    for case in (*told, *quiet):
        of_machine[case.event.machine_id].append(case)
    ordered = sorted(timelines, key=lambda t: _troubled_first(t, of_machine))
    shown = [t for t in ordered if len(t.time)][:MOST_MACHINES]
    extents = [_extent(t, of_machine[t.machine_id]) for t in shown]
    shared = _shared(extents)
    figures = (
        _figure(t, of_machine[t.machine_id], shared or own, "timelines" if shared else None)
        for t, own in zip(shown, extents, strict=True)
    )
    return tag(
        "section",
        tag("h2", "Timelines"),
        tag("p", _EXPLAINED, class_="hint"),
        _legend(shown, told, quiet),
        *figures,
        _left_out(ordered, len(shown), of_machine),
        id="timelines",
    )


def _troubled_first(
    timeline: Timeline, of_machine: Mapping[str, list[Case]]
) -> tuple[int, float, str]:
    own = of_machine.get(timeline.machine_id, ())
    rank = max((RANK[case.event.severity] + 1 for case in own), default=0)
    return -rank, -max((case.event.score or 0.0 for case in own), default=0.0), timeline.machine_id


def _extent(timeline: Timeline, own: Sequence[Case]) -> Span:
    starts = [int(timeline.time[0]), *(case.start for case in own)]
    return min(starts), max(int(timeline.time[-1]), *(case.end for case in own), starts[0])


def _shared(extents: Sequence[Span]) -> Span | None:
    """Return one extent for all where machines ran at about the same time."""
    if len(extents) < 2:
        return None
    start, end = min(a for a, _ in extents), max(b for _, b in extents)
    return (start, end) if end - start <= 1.5 * median(b - a for a, b in extents) else None


def _figure(timeline: Timeline, own: Sequence[Case], extent: Span, link: str | None) -> Html:
    summary = _summary(timeline, own)
    x = TimeAxis.over(timeline.time, extent)
    y = ValueAxis.of_scores([timeline.score, timeline.static_score])
    drawing = chart.draw(
        label=f"Scores of {timeline.machine_id}: {summary}",
        x=x,
        y=y,
        lines=_lines(timeline, x, y),
        bands=[*_incidents(own), _labels(timeline, x)],
        flags=[_flag(case) for case in own if case.event.kind not in QUIET][:MOST_FLAGS],
        link=link,
    )
    heading = tag("h3", name_of(timeline.machine_id), " ", tag("small", summary))
    return tag("figure", tag("figcaption", heading), drawing, class_="timeline")


def _summary(timeline: Timeline, own: Sequence[Case]) -> str:
    told = [case for case in own if case.event.kind not in QUIET]
    parts = [count(len(timeline.time), "window"), count(int(timeline.alarm.sum()), "alarm")]
    parts.append(count(len(told), "incident"))
    if np.isfinite(timeline.score).any():
        top = int(np.nanargmax(timeline.score))
        parts.append(f"highest {number(timeline.score[top], 3)} at {clock(timeline.time[top])}")
    labels = merged(timeline.label_spans)
    if labels:
        found = sum(overlaps(span, (case.span for case in told)) for span in labels)
        parts.append(
            f"{found} of {count(len(labels), 'labelled anomaly', 'labelled anomalies')} found"
        )
    return ", ".join(parts)


def _lines(timeline: Timeline, x: TimeAxis, y: ValueAxis) -> list[Line]:
    part = stretches(timeline.time)

    def data(values: NDArray[np.floating]) -> str:
        rows = highest(values, MOST_POINTS)
        rows = rows[np.isfinite(values[rows])]
        return chart.line_data(x.x(timeline.time[rows]), y.y(values[rows]), part[rows])

    lines = [Line("score", "score", data(timeline.score))]
    if _adapted(timeline):
        lines.insert(0, Line("without adaptation", "static", data(timeline.static_score)))
    return [*lines, Line("", "alarm", _alarm_data(timeline, x))]


def _adapted(timeline: Timeline) -> bool:
    return not np.allclose(timeline.score, timeline.static_score, atol=0.01, equal_nan=True)


def _alarm_data(timeline: Timeline, x: TimeAxis) -> str:
    """Return strokes along the foot of the chart, one per run of alarms."""
    rows = highest(timeline.alarm.astype(float), MOST_POINTS)
    edges = np.flatnonzero(np.diff(timeline.alarm[rows].astype(np.int8), prepend=0, append=0))
    first, last = x.x(timeline.time[rows[edges[::2]]]), x.x(timeline.time[rows[edges[1::2] - 1]])
    foot = round(0.985 * HEIGHT)
    return "".join(f"M{a} {foot}H{b}" for a, b in zip(first, last, strict=True))


def _incidents(own: Sequence[Case]) -> list[Bands]:
    spans: dict[str, list[Span]] = defaultdict(list)
    for case in own:
        spans["quiet" if case.event.kind in QUIET else case.event.severity].append(case.span)
    loud = [Bands(f"{name} incident", name, spans[name]) for name in RANK]
    return [*loud, Bands("data quality", "quiet", spans["quiet"], 0.9, 0.95)]


def _labels(timeline: Timeline, x: TimeAxis) -> Bands:
    cut = [(max(a, x.start), min(b, x.end)) for a, b in merged(timeline.label_spans)]
    return Bands("labelled anomaly", "label", [(a, b) for a, b in cut if a <= b], 0, 0.05)


def _flag(case: Case) -> Flag:
    event = case.event
    title = f"Incident {case.number}: {event.severity}, {KIND[event.kind]}"
    text = f"{SHAPE[event.severity]}{case.number}"
    return Flag(text, event.severity, case.span, f"#{case.anchor}", title)


def _legend(shown: Sequence[Timeline], told: Sequence[Case], quiet: Sequence[Case]) -> Html:
    entries = [("score", "score"), ("limit", "alarm line")]
    if any(_adapted(t) for t in shown):
        entries.append(("static", "score without adaptation"))
    entries.append(("alarm", "windows in alarm"))
    present = {case.event.severity for case in told}
    entries += [(f"band {s}", f"{SHAPE[s]} {s} incident") for s in reversed(RANK) if s in present]
    if quiet:
        entries.append(("band quiet", "data quality"))
    if any(t.label_spans for t in shown):
        entries.append(("band label", "labelled anomaly"))
    return chart.legend(entries)


def _left_out(
    ordered: Sequence[Timeline], shown: int, of_machine: Mapping[str, list[Case]]
) -> Html | None:
    empty = sum(not len(t.time) for t in ordered)
    rest = [t for t in ordered if len(t.time)][shown:]
    if not rest and not empty:
        return None
    said = []
    if rest:
        troubled = sum(bool(of_machine.get(t.machine_id)) for t in rest)
        said.append(
            f"{count(len(rest), 'more machine is', 'more machines are')} not drawn; "
            f"{number(troubled)} of them had incidents."
        )
    if empty:
        said.append(f"{count(empty, 'machine')} had no scored window.")
    return tag("p", " ".join(said), class_="hint")
