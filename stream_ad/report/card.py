"""One incident as a card: what happened, how sure, which sensors, what it resembles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_ad.records import IncidentEvent, SensorEvidence
from stream_ad.report import chart
from stream_ad.report.axes import TimeAxis, ValueAxis
from stream_ad.report.case import KIND, SHAPE, Case
from stream_ad.report.chart import Bands, Line
from stream_ad.report.markup import Html, join, name_of, tag
from stream_ad.report.phrases import (
    ABSENT,
    count,
    duration,
    moment,
    number,
    percent,
    rarity,
    resolved,
)
from stream_ad.report.tables import table
from stream_ad.report.thinning import extremes, stretches
from stream_ad.report.views import Trace
from stream_ad.windows.spec import parse_rfc3339

MOST_CHARTS: Final = 3
MOST_SENSORS: Final = 6
MOST_NEIGHBOURS: Final = 5
MOST_POINTS: Final = 1_200  # per line; these charts are half as wide as the timelines
_ENDED: Final = {
    "recovered": "recovered",
    "labelled": "closed by a label",
    "moved": "closed, the machine moved to another input",
    "reset": "closed, the state was reset",
}


def badge(event: IncidentEvent) -> Html:
    """Return the severity as shape, word and colour."""
    text = f"{SHAPE[event.severity]} {event.severity}"
    return tag("span", text, class_=f"badge {event.severity}")


def card(case: Case) -> Html:
    """Return the card of an incident."""
    facts = tag("div", _lead(case.sensors), _sensors(case.sensors), _facts(case), class_="facts")
    return tag(
        "article",
        _header(case),
        tag("div", facts, _charts(case), class_="body"),
        id=case.anchor,
        class_=f"card {case.event.severity}",
    )


def _header(case: Case) -> Html:
    event = case.event
    kind = None if event.kind == "process" else tag("span", KIND[event.kind], class_="badge")
    title = tag("h3", badge(event), kind, f"{case.number}. ", name_of(event.machine_id))
    when = join([moment(case.start), " to ", moment(case.end), " UTC"])
    ending = _ENDED.get(event.closed_reason or "", "closed")
    if case.open:
        ending = "still open at the end of the recording"
    labelled = {True: "overlaps a labelled anomaly", False: "no labelled anomaly here"}
    label = labelled.get(case.labelled) if case.labelled is not None else None
    rest = [duration(case.end - case.start), ending, label]
    return tag("header", title, tag("p", join([when, *rest], " · ")))


def _lead(sensors: Sequence[SensorEvidence]) -> Html | None:
    if not sensors:
        return None
    first = sensors[0]
    actual, expected = (_quantity(value, first) for value in (first.actual, first.expected))
    reads = f" read {actual}" if _known(first.actual) else " led"
    expects = f" where {expected} was expected"
    return tag(
        "p", name_of(first.name), reads, expects if _known(first.expected) else None, ".",
        class_="lead",
    )  # fmt: skip


def _known(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))


def _step(sensor: SensorEvidence) -> float:
    """Return what must be told apart: a twentieth of the way from expected to actual."""
    if sensor.expected is None or sensor.actual is None:
        return 0.0
    return abs(sensor.actual - sensor.expected) / 20


def _quantity(value: float | None, sensor: SensorEvidence) -> str:
    text = resolved(value, _step(sensor))
    return f"{text}\N{NO-BREAK SPACE}{sensor.unit}" if sensor.unit else text


def _facts(case: Case) -> Html:
    event = case.event
    evidence = [f"{e.channel} {percent(e.share)}" for e in event.evidence or ()]
    model = [event.model_id, f"version {event.model_version}" if event.model_version else None]
    facts: list[tuple[str, str | None]] = [
        ("Score", _score(case) if _known(event.score) else None),
        ("How rare", rarity(event.p_value)),
        ("Evidence", ", ".join(evidence)),
        ("Missing", f"{percent(event.missing_share)} of cells" if event.missing_share else None),
        ("Nearest normal", _neighbours(event)),
        ("Model", ", ".join(part for part in model if part)),
        ("Incident", tag("code", event.incident_id)),
    ]
    return tag("dl", *(join([tag("dt", k), tag("dd", v)]) for k, v in facts if v))


def _score(case: Case) -> str:
    later = f"; {number(case.later, 3)} later" if case.later is not None else ""
    return f"{number(case.event.score, 3)} (the line is 1){later}"


def _neighbours(event: IncidentEvent) -> Html | None:
    near = event.neighbours or []
    if not near:
        return None
    items = (
        tag(
            "li", name_of(n.machine_id), ", ", moment(parse_rfc3339(n.start)),
            tag("span", f" (distance {number(n.distance, 3)})", class_="hint"),
        )
        for n in near[:MOST_NEIGHBOURS]
    )  # fmt: skip
    return tag("ul", *items)


def _sensors(sensors: Sequence[SensorEvidence]) -> Html | None:
    if not sensors:
        return None
    rows = [_sensor_row(sensor) for sensor in sensors[:MOST_SENSORS]]
    rest = sensors[MOST_SENSORS:]
    if rest:
        share = sum(sensor.share for sensor in rest)
        rows.append(_wide_row(f"{count(len(rest), 'more sensor')}: {percent(share)}"))
    return table(["Sensor", "Share", "Expected", "Actual"], rows, numeric={2, 3})


def _sensor_row(sensor: SensorEvidence) -> Html:
    step = _step(sensor)
    fill = tag("span", style=f"width:{100 * sensor.share:.1f}%")
    share = join([tag("span", fill, class_="bar"), percent(sensor.share)])
    unit = tag("small", f" {sensor.unit}") if sensor.unit else None
    return tag(
        "tr",
        tag("td", name_of(sensor.name), unit),
        tag("td", share, class_="share"),
        tag("td", resolved(sensor.expected, step)),
        tag("td", resolved(sensor.actual, step)),
    )


def _wide_row(text: str) -> Html:
    return tag("tr", tag("td", text, colspan=4, class_="hint"))


def _charts(case: Case) -> Html | None:
    traces = [trace for trace in case.traces[:MOST_CHARTS] if len(trace.time)]
    if not traces:
        return None
    ends = [int(t.time[i]) for t in traces for i in (0, -1)]
    extent = min(case.start, *ends), max(ends)
    entries = [("actual", "actual"), ("expected", "expected")]
    entries.append((f"band {case.event.severity}", "incident"))
    figures = (_trace(trace, case, extent) for trace in traces)
    return tag("div", chart.legend(entries), *figures, class_="charts")


def _trace(trace: Trace, case: Case, extent: tuple[int, int]) -> Html:
    x = TimeAxis.over(trace.time, extent)
    y = ValueAxis.of_values([trace.actual, trace.expected])
    span = max(case.start, x.start), min(case.end, x.end)
    bands = [Bands("incident", case.event.severity, [span] if span[0] <= span[1] else [])]
    drawing = chart.draw(
        label=f"{trace.sensor}: actual {_range(trace.actual)}, expected {_range(trace.expected)}",
        x=x,
        y=y,
        lines=[
            Line("expected", "expected", _data(trace, trace.expected, x, y)),
            Line("actual", "actual", _data(trace, trace.actual, x, y)),
        ],
        bands=bands,
        link=case.anchor,
        unit=trace.unit,
    )
    unit = tag("small", f" {trace.unit}") if trace.unit else None
    caption = tag("figcaption", name_of(trace.sensor), unit)
    return tag("figure", caption, drawing, class_="trace")


def _data(trace: Trace, values: NDArray[np.floating], x: TimeAxis, y: ValueAxis) -> str:
    known = np.isfinite(values)
    rows = extremes(np.where(known, values, np.nan), MOST_POINTS)
    # a bin without any value breaks the line as a gap in time does
    part = stretches(trace.time)[rows] + np.cumsum(~known[rows])
    kept = known[rows]
    rows = rows[kept]
    return chart.line_data(x.x(trace.time[rows]), y.y(values[rows]), part[kept])


def _range(values: NDArray[np.floating]) -> str:
    known = values[np.isfinite(values)]
    return f"{number(known.min())} to {number(known.max())}" if len(known) else ABSENT
