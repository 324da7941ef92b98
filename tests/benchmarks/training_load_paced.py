"""Delays of scores while a trainer only follows, and while it trains; and gaps at swaps."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.kafka_load import create
from tests.benchmarks.table import Figure, Grid, show
from tests.benchmarks.training_load_line import Line, Seen
from tests.benchmarks.training_load_site import (
    ENDED,
    PARTITIONS,
    PATIENCE_S,
    Place,
    share_trained,
    train_once,
    training,
)
from tests.faults.lives import COMMIT, RESTORED
from tests.faults.swaps import LOADED
from tests.faults.worker import Event, Worker

LATER, PAUSE = 1.5, 1.0  # asked: p99, batches
TRAINED = 0.5  # of the time a training must take, or nothing was measured beside one
NICE = 19
AROUND_S = 0.5  # after a detector was loaded, in which the worker takes it

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of monotonic time, and for which share of it a detector was trained."""

    since: float
    until: float
    share: float


def paced(place: Place, per_s: float) -> list[Figure]:
    create(place.bootstrap, "paced", PARTITIONS)
    tree = place.service("paced", "paced")
    topics = tree["kafka"]["topics"]
    line = Line(place.bootstrap, "paced", topics["scores"], place.plant, per_s)
    with training(place, tree) as trainer:
        worker = place.start(tree, "run", "--slot", "0")
        try:
            if worker.wait_for(lambda event: event.name == RESTORED, PATIENCE_S) is None:
                raise TimeoutError(f"the worker does not begin: {worker.tail()}")
            nice = os.getpriority(os.PRIO_PROCESS, trainer.pid)
            with line.running():
                _warm(place, tree, trainer, line)
                still, busy = _phases(place, tree, trainer)
                time.sleep(2.0)  # for what was promoted last
        finally:
            worker.stop()
    loads = [event for event in [*worker.events] if event.name == LOADED]
    commits = np.array([event.at for event in [*worker.events] if event.name == COMMIT])
    return [
        Figure("niceness of the trainer", nice, NICE, "exactly", form="d", correctness=True),
        Figure("windows per second, paced", per_s, form=",.0f"),
        *_delays(line.seen, still, busy),
        *_trainings(trainer.events, busy),
        *_swaps(commits, [event for event in loads if event.at > still[0].since], busy),
    ]


def _warm(place: Place, tree: dict[str, Any], trainer: Worker, line: Line) -> None:
    """Wait until there is enough to learn from, and train once."""
    deadline = time.monotonic() + PATIENCE_S
    while len(line.seen.at) < 2 * place.effort.learned and time.monotonic() < deadline:
        time.sleep(0.1)
    train_once(tree, trainer)


def _phases(place: Place, tree: dict[str, Any], trainer: Worker) -> tuple[list[Phase], list[Phase]]:
    """Let the trainer follow, then train again and again, in turns."""
    still, busy = [], []
    for _ in range(place.effort.turns):
        time.sleep(1.0)  # what the last training left behind
        began = time.monotonic()
        time.sleep(place.effort.phase_s)
        still.append(Phase(began, time.monotonic(), 0.0))
        began = time.monotonic()
        while time.monotonic() < began + place.effort.phase_s:
            train_once(tree, trainer)
        ended = time.monotonic()
        busy.append(Phase(began, ended, share_trained(trainer.events, began, ended)))
    return still, busy


def _delays(seen: Seen, still: Sequence[Phase], busy: Sequence[Phase]) -> Iterator[Figure]:
    rows, ratios = [], []
    for turn, (a, b) in enumerate(zip(still, busy, strict=True), 1):
        both = [seen.delays(phase.since, phase.until) * 1e3 for phase in (a, b)]
        cells = [[np.percentile(of, q) for of in both] for q in (50, 99)]
        ratios.append(float(cells[1][1] / cells[1][0]))
        row = [f"{value:.0f}" for pair in cells for value in pair]
        rows.append([f"{turn}", *row, f"{ratios[-1]:.2f}", f"{b.share:.0%}"])
    headings = ["turn", "p50, idle", "p50, training", "p99, idle", "p99, training", "p99 ratio"]
    show(Grid("Milliseconds from window to committed score", [*headings, "in a training"], rows))
    yield Figure("p99 while training/idle", statistics.median(ratios), LATER, "at most", ".2f")
    share = statistics.median(phase.share for phase in busy)
    yield Figure("share of these phases in a training", share, TRAINED, form=".2f")
    count = sum(phase.until - phase.since for phase in (*still, *busy))
    yield Figure("seconds of phases", count, form=".0f")


def _trainings(events: Sequence[Event], busy: Sequence[Phase]) -> Iterator[Figure]:
    some = 0
    for name in ENDED:
        count = sum(
            event.name == name and phase.since <= event.at <= phase.until
            for event in [*events]
            for phase in busy
        )
        some += count
        yield Figure(f"{name} in these phases", count, form=",d")
    yield Figure("trainings in these phases", some, 1, form=",d", correctness=True)


def _swaps(commits: Floats, loads: Sequence[Event], busy: Sequence[Phase]) -> Iterator[Figure]:
    """Tell by how much the longest gap between two commits around a swap is more than a batch.

    A batch is the median time from one commit to the next while a detector is trained.
    """
    batch = _batch(commits, busy)
    spans = [(event.at - float(event.fields["seconds"]), event.at + AROUND_S) for event in loads]
    yield Figure("swaps", len(spans), 1, form=",d", correctness=True)
    longest = [longest_gap(commits, *span) for span in spans]
    usual = [*_elsewhere(commits, spans, busy)]
    if not longest or not usual:
        return
    yield Figure("batch, ms", 1e3 * batch, form=".0f")
    pause = statistics.median(longest) / batch - 1
    yield Figure("swap pause, batches, median", pause, PAUSE, "at most", ".2f")
    for name, value in (("worst", max(longest)), ("worst without a swap", max(usual))):
        yield Figure(f"swap pause, batches, {name}", value / batch - 1, form=".2f")
    middle = statistics.median(usual) / batch - 1
    yield Figure("swap pause, batches, median without a swap", middle, form=".2f")


def _batch(commits: Floats, busy: Sequence[Phase]) -> float:
    """Return the median time from one commit to the next in some phases."""
    gaps = [np.diff(commits[(commits >= p.since) & (commits < p.until)]) for p in busy]
    return float(np.median(np.concatenate(gaps)))


def _elsewhere(
    commits: Floats, spans: Sequence[tuple[float, float]], busy: Sequence[Phase]
) -> Iterator[float]:
    """Yield the longest gap of times as long as a swap, in which none was."""
    if not spans:
        return
    width = statistics.median(end - since for since, end in spans)
    for phase in busy:
        since = phase.since
        while since + width < phase.until:
            if not any(a < since + width and since < b for a, b in spans):
                yield longest_gap(commits, since, since + width)
            since += width


def longest_gap(at: Floats, since: float, until: float) -> float:
    """Return the longest time between two of some moments, ascending, that touches a span.

    Examples
    --------
    >>> longest_gap(np.array([0.0, 1, 4, 5, 9]), 3.5, 4.5)
    3.0
    """
    first = max(int(np.searchsorted(at, since, side="right")) - 1, 0)
    last = int(np.searchsorted(at, until, side="left")) + 1
    return float(np.diff(at[first:last]).max(initial=0.0))
