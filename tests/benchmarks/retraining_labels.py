"""What labels change: false incidents that were labelled normal, anomalies that were labelled.

======== ====================================================================================
normal   every machine goes through a harmless routine of three hours now and then, which the
         history does not know. An operator labels each incident that it caused, once it is over.
anomaly  every machine has the same faint fault now and then; an operator labels each incident
         that it caused as an anomaly. ``deep_sad`` learns from them.
======== ====================================================================================

Both are streamed with the labels and without; nothing that stays unlabelled lapses. What counts
is what comes after the next training, and until the one after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from simulators import Fault
from stream_ad.evaluation.events import IncidentSpan
from stream_ad.evaluation.judgement import spans_of
from stream_ad.windows.spec import NEVER, parse_rfc3339
from tests.benchmarks.aging import DAY_S, AgingSource, Event, Plan, Shift
from tests.benchmarks.refitting import Learned
from tests.benchmarks.retraining_judging import share
from tests.benchmarks.retraining_operator import OfSpans, Word, nothing
from tests.benchmarks.retraining_runs import Retrained, Session
from tests.benchmarks.retraining_seasons import BUDGET, training

EVERY_DAYS = 6.0  # between trainings
AGAIN_DAYS, HOURS = 1.5, 3.0  # of a machine, from one to the next; how long
ROUTINE = {"flow": Shift(5.0, 1.0), "pressure": Shift(-5.0, 1.0)}
FAINT = ("drift", ("bearing_temperature",), 4.0)  # kind, sensors, standard deviations
LABELLED, UNLABELLED = "with labels", "without"


class Met(NamedTuple):
    """How many spans there were, and in how many an incident was open; windows likewise.

    A window counts if it lies wholly in a span; it is hit if it alarms.
    """

    spans: int
    hit: int
    windows: int
    alarms: int

    @property
    def share(self) -> float:
        """Return the share of the spans with an incident."""
        return share(self.hit, self.spans)

    @property
    def windows_share(self) -> float:
        """Return the share of their windows that alarm."""
        return share(self.alarms, self.windows)


@dataclass(frozen=True, slots=True)
class Effect:
    """What came before the first training; after it, with labels and without.

    Parameters
    ----------
    before : Met
    next : dict of str to Met
        Until the training after that.
    later : dict of str to Met
        From that one on.
    labels : int
        How many labels there were by the first training.
    by_chance : float
        Share of spans half a time between two that have an incident, of the first version.
    """

    before: Met
    next: Mapping[str, Met]
    later: Mapping[str, Met]
    labels: int
    by_chance: float


def labelled_normal(plan: Plan, seed: int) -> Effect:
    """Let an operator label what a routine causes."""
    source = replace(plan, routine=ROUTINE).source(seed)
    source = replace(source, routines=[*_turns(source, "routine")])
    return _effect(source, source.routines, "normal", {})


def labelled_anomalies(plan: Plan, seed: int, detector: Mapping[str, Any]) -> Effect:
    """Let an operator label what a faint fault causes."""
    source = plan.source(seed)
    kind, sensors, severity = FAINT
    since = source.factory.start_ns
    faults = [
        Fault(e.machine, kind, (e.start - since) / 1e9, HOURS * 3600, sensors, severity)
        for e in _turns(source, kind)
    ]
    source = replace(source, faults=faults)
    return _effect(source, source.events(), "anomaly", detector)


def _turns(source: AgingSource, kind: str) -> Iterator[Event]:
    """Yield when it happens: on each machine a little later than on the one before."""
    plan, ids = source.plan, source.factory.layout.machine_ids
    for number, machine in enumerate(ids):
        day = plan.history_days + 0.3 + AGAIN_DAYS * number / len(ids)
        while day + HOURS / 24 < plan.days - 0.1:
            yield Event(machine, kind, source.at(day), source.at(day + HOURS / 24))
            day += AGAIN_DAYS


def _effect(
    source: AgingSource, spans: Sequence[Event], said: Word, detector: Mapping[str, Any]
) -> Effect:
    plan, lasting = source.plan, {"quarantine_s": source.plan.days * DAY_S}
    learns = training(plan.machines) | {"every_s": EVERY_DAYS * DAY_S} | lasting
    config = plan.config(source.factory.seed, BUDGET, training=learns, detector=detector)
    learned = Learned.of(source, config, time=source.until)
    runs = {
        LABELLED: Session.of(learned, OfSpans(said, spans)).stream(source),
        UNLABELLED: Session.of(learned, nothing).stream(source),
    }
    met = {name: _met(run, spans) for name, run in runs.items()}
    first = runs[LABELLED].versions[1].effective_from if len(runs[LABELLED].versions) > 1 else 0
    shift = round(AGAIN_DAYS / 2 * DAY_S * 1e9)
    between = [e._replace(start=e.start + shift, end=e.end + shift) for e in spans]
    return Effect(
        met[UNLABELLED][0],
        {name: found[1] for name, found in met.items()},
        {name: found[2] for name, found in met.items()},
        sum(parse_rfc3339(label.labelled_at) < first for label in runs[LABELLED].said),
        _met(runs[UNLABELLED], between)[0].share,
    )


def _met(retrained: Retrained, spans: Sequence[Event]) -> list[Met]:
    """Return what was met under the first version, under the second, and under all others."""
    since = [version.effective_from for version in retrained.versions]
    since = [-NEVER, *since[1:3], NEVER, NEVER, NEVER][:4]
    incidents = spans_of(retrained.run.events)
    return [
        _one(retrained, [e for e in spans if low <= e.start < high], incidents)
        for low, high in pairwise(since)
    ]


def _one(retrained: Retrained, spans: Sequence[Event], incidents: Sequence[IncidentSpan]) -> Met:
    scored = retrained.run.scored
    inside, hit = np.zeros(len(scored.end), bool), 0
    for span in spans:
        mine = scored.machine == span.machine
        inside |= mine & (scored.start >= span.start) & (scored.end <= span.end)
        hit += any(_overlap(incident, span) for incident in incidents)
    return Met(len(spans), hit, int(inside.sum()), int((inside & scored.alarm).sum()))


def _overlap(incident: IncidentSpan, span: Event) -> bool:
    ended = NEVER if incident.ended_at is None else incident.ended_at
    same = incident.machine == span.machine
    return same and incident.started_at < span.end and span.start < ended
