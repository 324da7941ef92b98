"""Scoring on Kafka while the trainer trains: how much slower, how much later, how long a swap.

The service as a user starts it, worker and trainer as processes of their own, on a real broker
that this command starts. At saturation: windows per second of a worker that reads a full topic,
alone and beside a trainer that trains again and again, in turns. At half of that pace: the delay
from a window to its committed score, in turns while the trainer only follows and while it trains;
and how long scores stay away where a new detector takes over.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from numpy.typing import NDArray

from stream_ad.config import parse_config
from stream_ad.detector import Detector
from stream_ad.progress import Silence
from stream_ad.training.fit import train
from stream_ad.training.history import History
from stream_ad.training.registry import Registry
from stream_ad.transport.kafka.labels import TrainRequest, write_request
from tests.benchmarks.generated import SINCE, Plant
from tests.benchmarks.kafka_load import Load, create, fill
from tests.benchmarks.kafka_service import Setting
from tests.benchmarks.table import Figure, Grid, conclude, options, show
from tests.benchmarks.training_load_line import Line, Seen
from tests.faults.lives import COMMIT
from tests.faults.site import AS_A_CHILD, stream_ad
from tests.faults.worker import Event, Worker
from tests.kafka_cluster import Cluster, Runtime

SLOWER, LATER, PAUSE = 0.7, 1.5, 1.0  # asked: throughput, p99, batches
TRAINED = 0.5  # of the time a training must take, or nothing was measured beside one
NICE = 19
PARTITIONS = 4
BEFORE, ENDED = "training", ("training promoted", "training refused", "training failed")
LEADS, LOADED, RESTORED = "this trainer leads", "a promoted detector is loaded", "restored"
PATIENCE_S = 120.0
LOOK_S = 0.1
AROUND_S = 0.5  # after a detector was loaded, in which the worker takes it
LEAD_WINDOWS = 2  # of event time before a new detector scores

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effort:
    """Windows of the full topic, machines, learned windows, turns, seconds of a phase."""

    windows: int
    machines: int
    learned: int
    turns: int
    phase_s: float


FULL = Effort(200_000, 40, 6_000, 3, 30.0)
QUICK = Effort(40_000, 8, 400, 1, 4.0)


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of monotonic time, and for which share of it a detector was trained."""

    since: float
    until: float
    share: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where the services of the benchmark work, and the detector that they begin with."""

    bootstrap: str
    folder: Path
    plant: Plant
    detector: Detector
    effort: Effort
    model: str

    def service(self, name: str, topic: str, **training: Any) -> dict[str, Any]:
        """Make a service with topics and a registry of its own, and return its settings."""
        registry = self.folder / f"registry-{name}"
        Registry(str(registry)).publish(self.detector, 0, "for a benchmark")
        setting = Setting(self.bootstrap, registry, self.plant)
        load = Load("window", topic, PARTITIONS, self.effort.windows)
        tree = setting.tree(load, name, scores=True, detector={"model": self.model})
        for kind in ("labels", "models"):
            tree["kafka"]["topics"][kind] = f"{name}.{kind}"
            create(self.bootstrap, f"{name}.{kind}", 1, cleanup_policy="compact")
        usual = {
            "buffer_windows": self.effort.learned,
            "min_windows": self.effort.learned // 4,
            "lead_s": LEAD_WINDOWS * self.plant.length,
            # nearly every training shall end in a swap
            "gate": {"recall_loss": 1, "worst_loss": 1},
        }
        wide = {"max_per_day": 1e9, "max_total": 1e9}
        return tree | {"training": usual | training, "drift": wide}

    def start(self, tree: dict[str, Any], *command: str) -> Worker:
        """Start a process of a service."""
        name = tree["kafka"]["group_id"]
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(tree))
        log = self.folder / f"{name}.{command[0]}.log"
        traced = {"STREAM_AD_TRACE": "1"}  # each commit, as the worker itself sees it
        return Worker([*AS_A_CHILD, *stream_ad(*command, "--config", file)], log, traced)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    parser = options((__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="linear", help="which model is trained (linear)")
    parser.add_argument("--bootstrap", help="a broker that runs already")
    arguments = parser.parse_args(argv)
    effort = QUICK if arguments.quick else FULL
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        _broker(arguments.bootstrap, Path(folder, "kafka")) as bootstrap,
    ):
        place = _place(bootstrap, Path(folder), effort, arguments.model)
        idle, figures = _saturated(place)
        figures += _paced(place, idle / 2)
    figures.append(Figure("minutes", (time.monotonic() - began) / 60, form=".1f"))
    return conclude(figures, arguments)


@contextmanager
def _broker(running: str | None, folder: Path) -> Iterator[str]:
    if running is not None:
        yield running
        return
    with Cluster(Runtime.find(), folder) as cluster:
        yield cluster.bootstrap


def _place(bootstrap: str, folder: Path, effort: Effort, model: str) -> Place:
    plant = Plant(effort.machines, 8, 16)
    tree = plant.config.model_dump() | {"detector": {"model": model}}
    config = parse_config(tree)
    past = plant.windows(effort.learned // effort.machines, faults=False)
    earlier = int(past.start.max()) - SINCE * 10**9 + plant.spec.window_ns
    past.start[:] -= earlier  # the history ends where the stream begins
    detector = train(History(past, SINCE * 10**9), config, plant.spec, Silence())
    return Place(bootstrap, folder, plant, detector, effort, model)


# ------------------------------------------------------------------------------ at saturation


def _saturated(place: Place) -> tuple[float, list[Figure]]:
    """Return windows per second without a training, and the figures."""
    effort = place.effort
    load = Load("window", "full", PARTITIONS, effort.windows)
    fill(place.bootstrap, place.plant, load)
    alone, beside, shares = [], [], []
    for turn in range(effort.turns):
        alone.append(_per_s(_served(place, place.service(f"alone-{turn}", load.topic), load), 0.0))
        tree = place.service(f"beside-{turn}", load.topic)
        with _training(place, tree) as trainer, _again_and_again(tree, trainer):
            seen = _served(place, tree, load)
            begun = next((e.at for e in [*trainer.events] if e.name == BEFORE), seen[0][0])
            beside.append(_per_s(seen, begun))
            shares.append(_share(trainer.events, begun, seen[-1][0]))
    rows = [
        [f"{turn + 1}", f"{a:,.0f}", f"{b:,.0f}", f"{b / a:.2f}", f"{s:.0%}"]
        for turn, (a, b, s) in enumerate(zip(alone, beside, shares, strict=True))
    ]
    headings = ["turn", "alone", "while trained", "ratio", "of the time in a training"]
    show(Grid("Windows per second at saturation", headings, rows))
    ratio = statistics.median(b / a for a, b in zip(alone, beside, strict=True))
    return statistics.median(alone), [
        Figure("throughput while trained/alone", ratio, SLOWER, form=".2f"),
        # asked for again as soon as one ends: the rest of the time it reads what it learns from
        Figure("share of that time in a training", statistics.median(shares), form=".2f"),
    ]


def _served(place: Place, tree: dict[str, Any], load: Load) -> list[tuple[float, int]]:
    """Let a worker read a full topic; return how many windows it had committed by when."""
    group, seen = tree["kafka"]["group_id"], [(time.monotonic(), 0)]
    deadline = seen[0][0] + 10 * PATIENCE_S
    worker = place.start(tree, "run", "--slot", "0")
    try:
        with KafkaAdminClient(bootstrap_servers=place.bootstrap) as admin:
            while seen[-1][1] < load.records:
                if time.monotonic() > deadline or not worker.running:
                    raise TimeoutError(f"the topic is not read to its end: {worker.tail()}")
                time.sleep(LOOK_S)
                with suppress(KafkaError):  # nobody coordinates a group that has not begun
                    offsets = admin.list_group_offsets([group])[group]
                    done = sum(max(0, offset.offset) for offset in offsets.values())
                    seen.append((time.monotonic(), done))
    finally:
        worker.stop()
    return seen


def _per_s(seen: Sequence[tuple[float, int]], since: float) -> float:
    """Return windows per second from the first commit after a time to the last look but one.

    NaN of fewer than two looks.

    Examples
    --------
    >>> _per_s([(0.0, 0), (1.0, 0), (2.0, 10), (4.0, 50), (5.0, 52)], 1.5)
    20.0
    """
    under_way = [one for one in seen[:-1] if one[1] > 0 and one[0] >= since]
    if len(under_way) < 2:
        return float("nan")
    (first, before), (last, after) = under_way[0], under_way[-1]
    return (after - before) / (last - first)


@contextmanager
def _training(place: Place, tree: dict[str, Any]) -> Iterator[Worker]:
    trainer = place.start(tree, "trainer")
    try:
        if trainer.wait_for(lambda event: event.name == LEADS, PATIENCE_S) is None:
            raise TimeoutError(f"no trainer leads: {trainer.tail()}")
        yield trainer
    finally:
        trainer.stop()


@contextmanager
def _again_and_again(tree: dict[str, Any], trainer: Worker) -> Iterator[None]:
    """Ask for a training as soon as the one before has ended, or had nothing to learn from."""
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            _train(tree, trainer, ended)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(PATIENCE_S)


def _share(events: Sequence[Event], since: float, until: float) -> float:
    """Return the share of a time in which a detector was trained."""
    spent, begun = 0.0, None
    for event in [*events]:
        if event.name == BEFORE and begun is None:
            begun = event.at
        elif event.name in ENDED and begun is not None:
            spent += max(0.0, min(event.at, until) - max(begun, since))
            begun = None
    if begun is not None:
        spent += max(0.0, until - max(begun, since))
    return spent / (until - since)


# ------------------------------------------------------------------------------ at half of it


def _paced(place: Place, per_s: float) -> list[Figure]:
    create(place.bootstrap, "paced", PARTITIONS)
    tree = place.service("paced", "paced")
    topics = tree["kafka"]["topics"]
    line = Line(place.bootstrap, "paced", topics["scores"], place.plant, per_s)
    with _training(place, tree) as trainer:
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
    _train(tree, trainer)


def _train(tree: dict[str, Any], trainer: Worker, ended: threading.Event | None = None) -> None:
    """Ask for a training and wait until it has ended, or nobody waits any longer."""
    known, deadline = len(trainer.events), time.monotonic() + PATIENCE_S
    write_request(parse_config(tree).kafka, TrainRequest(machine_group="default", who="benchmark"))
    while trainer.wait_for(lambda event: event.name in ENDED, 1.0, known) is None:
        if ended is not None and ended.is_set():
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"no training ends: {trainer.tail()}")


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
            _train(tree, trainer)
        ended = time.monotonic()
        busy.append(Phase(began, ended, _share(trainer.events, began, ended)))
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


if __name__ == "__main__":
    sys.exit(main())
