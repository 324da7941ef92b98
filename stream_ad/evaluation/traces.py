"""What the sensors of an incident did, beside what the detector expected of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream_ad.alerting import QualityCheck
from stream_ad.machines import Machines
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Progress
from stream_ad.records import IncidentEvent
from stream_ad.report import IncidentView, Trace
from stream_ad.transport.base import Source
from stream_ad.versions import Judge
from stream_ad.windows import Windows, WindowSpec, missing_share
from stream_ad.windows.spec import parse_rfc3339

MOST_INCIDENTS, MOST_SENSORS = 50, 3
MOST_WINDOWS = 200  # per incident; a longer one is shown from its start
CONTEXT = 3  # windows shown before and after
RANK = {"critical": 3, "error": 2, "warning": 1, "info": 0}


@dataclass(slots=True)
class Case:
    """One incident whose windows are being collected."""

    events: list[IncidentEvent]
    sensors: list[int]
    first: int
    last: int
    parts: list[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]] = field(
        default_factory=list
    )


def incident_views(
    events: Sequence[IncidentEvent], source: Source, pipeline: Pipeline, progress: Progress
) -> list[IncidentView]:
    """Read the input once more and trace the sensors of the worst incidents.

    Parameters
    ----------
    events : sequence of IncidentEvent
        Of the whole run.
    source : Source
    pipeline : Pipeline
        The one that scored: its grid, limits and detectors; its states are not touched.
    progress : Progress

    Returns
    -------
    list of IncidentView
        Every incident, most severe first; at most 50 of them, the worst process incidents,
        with traces.

    Notes
    -----
    Where windows overlap, a slot shows the reconstruction of the latest of them.
    """
    grouped: dict[str, list[IncidentEvent]] = {}
    for event in events:
        grouped.setdefault(event.incident_id, []).append(event)
    ranked = sorted(grouped.values(), key=_badness)
    traced = [e for e in ranked if e[0].kind != "data_quality" and e[-1].sensors]
    traced = traced[:MOST_INCIDENTS]
    cases = {e[0].incident_id: _case(e, pipeline.spec) for e in traced}
    if cases:
        _collect(list(cases.values()), source, pipeline, progress)
    traces = {name: _traces(case, pipeline.spec) for name, case in cases.items()}
    return [IncidentView(e, traces.get(e[0].incident_id, [])) for e in ranked]


def _badness(events: list[IncidentEvent]) -> tuple[bool, int, float, str, str]:
    worst = max(events, key=lambda e: RANK[e.severity])
    score = max((e.score or 0.0) for e in events)
    first = events[0]
    return (
        first.kind == "data_quality",
        -RANK[worst.severity],
        -score,
        first.started_at,
        first.machine_id,
    )


def _case(events: list[IncidentEvent], spec: WindowSpec) -> Case:
    worst = max(events, key=lambda e: e.score or 0.0)
    index = {name: c for c, name in enumerate(spec.names)}
    sensors = [index[s.name] for s in worst.sensors if s.name in index][:MOST_SENSORS]
    started = parse_rfc3339(events[0].started_at)
    ended = parse_rfc3339(events[-1].window_end)
    first = started - CONTEXT * spec.window_ns
    last = min(ended + CONTEXT * spec.window_ns, started + MOST_WINDOWS * spec.window_ns)
    return Case(events, sensors, first, last)


def _collect(cases: list[Case], source: Source, pipeline: Pipeline, progress: Progress) -> None:
    config, spec = pipeline.config, pipeline.spec
    machines = Machines(spec, config.input.format)
    quality = QualityCheck(spec, np.zeros(len(spec.sensors), bool), config.windows.max_missing)
    for batch in source.batches():
        windows = machines.close(batch.records)
        progress.at(batch.position)
        if not len(windows):
            continue
        windows, _ = machines.clean(windows, quality, pipeline.mute(windows))
        for case in cases:
            mine = windows.machine == case.events[0].machine_id
            inside = (windows.start >= case.first) & (windows.start + spec.window_ns <= case.last)
            _explain(case, windows.take(mine & inside), pipeline)


def _explain(case: Case, windows: Windows, pipeline: Pipeline) -> None:
    if not len(windows):
        return
    spec, versions = pipeline.spec, pipeline.lineup.versions
    end = windows.start + spec.window_ns
    version = pipeline.groups.active(versions, windows.machine, end)
    for v in np.unique(version):
        part = windows.take(version == v)
        # before any model there is nothing to expect, but the first one can say what it thinks
        expected = _expected(versions[max(v, 0)].detector, part)
        slots = part.start[:, None] + np.arange(spec.length) * spec.period_ns
        chosen = case.sensors
        case.parts.append((slots, part.values[:, :, chosen], expected[:, :, chosen]))


def _expected(detector: Judge, windows: Windows) -> NDArray[np.float64]:
    """Return what was expected of windows (n, T, C); NaN where nothing was observed at all."""
    expected = np.full(windows.values.shape, np.nan)
    seen = missing_share(windows.values, detector.known) < 1
    if seen.any():
        some = windows.take(seen)
        told = detector.explain(some.values, some.start, some.machine)
        expected[seen] = told.expected_window
    return expected


def _traces(case: Case, spec: WindowSpec) -> list[Trace]:
    if not case.parts:
        return []
    time = np.concatenate([slots.ravel() for slots, _, _ in case.parts])
    cells = len(case.sensors)
    actual = np.concatenate([a.reshape(-1, cells) for _, a, _ in case.parts])
    expected = np.concatenate([e.reshape(-1, cells) for _, _, e in case.parts])
    # windows come in order, so the last row of a slot belongs to its latest window
    slots, from_end = np.unique(time[::-1], return_index=True)
    rows = len(time) - 1 - from_end
    return [
        Trace(spec.names[c], spec.sensors[c].unit, slots, actual[rows, i], expected[rows, i])
        for i, c in enumerate(case.sensors)
    ]
