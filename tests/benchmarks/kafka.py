"""The service on Kafka beside a bare loop, on a real broker that this command starts.

In one run, on topics filled before: (a) a consumer that only polls; (b) the ceiling: poll,
fastest decode to a float array, forward pass, search; (c) the service: exactly once, machine
states, alarm line, incidents. 40 machines, windows of 8 x 64, hop = length, a bank of 10 k.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stream_ad.config import parse_config
from stream_ad.detector.blocks import one_thread
from stream_ad.training.registry import Registry
from tests.benchmarks.bare import Bare
from tests.benchmarks.generated import SINCE, Plant
from tests.benchmarks.kafka_bare import polled_per_s, round_trips, scored_per_s
from tests.benchmarks.kafka_load import Load, create, fill, window
from tests.benchmarks.kafka_service import Setting, cpu_per_million, delays, served_per_s
from tests.benchmarks.table import Figure, Grid, conclude, options, show
from tests.kafka_cluster import Cluster, Runtime

TARGETS = {"window": 0.7, "reading": 0.5}
CPU_TARGET = 1.15
PARTITIONS = 1, 4


@dataclass(frozen=True, slots=True)
class Effort:
    """Records of a topic by kind, machines, bank, turns of (a), (b), (c), round trips."""

    windows: int
    readings: int
    machines: int
    bank: int
    turns: int
    trips: int


FULL = Effort(60_000, 600_000, 40, 10_000, 3, 200)
QUICK = Effort(12_000, 40_000, 8, 500, 1, 10)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    arguments = options((__doc__ or "").splitlines()[0]).parse_args(argv)
    effort = QUICK if arguments.quick else FULL
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as place,
        one_thread(),
        Cluster(Runtime.find(), Path(place, "kafka")) as cluster,
    ):
        figures, rows = _measured(cluster.bootstrap, effort, Path(place))
    figures.append(Figure("minutes", (time.monotonic() - began) / 60, form=".1f"))
    headings = ["records, partitions", "(a) poll", "(b) ceiling", "(c) service", "with scores"]
    show(Grid("Records per second", headings, rows))
    return conclude(figures, arguments)


def _measured(bootstrap: str, effort: Effort, place: Path) -> tuple[list[Figure], list[list[str]]]:
    plant = Plant(effort.machines, 8, 64)
    detector = plant.detector(effort.bank, plant.machines)
    Registry(str(place / "registry")).publish(detector, 0, "for a benchmark")
    setting = Setting(bootstrap, place / "registry", plant)
    scaled = detector._fitted().scaler.scale(plant.windows(2048 // plant.machines).values)
    bare = Bare(detector, scaled)
    figures: list[Figure] = []
    rows: list[list[str]] = []
    for kind, records in (("window", effort.windows), ("reading", effort.readings)):
        for partitions in PARTITIONS:
            load = Load(kind, f"{kind}-{partitions}", partitions, records)
            fill(bootstrap, plant, load)
            more, row = _speeds(setting, load, bare, effort.turns)
            figures += more
            rows.append(row)
    figures += _processor_time(setting, Load("reading", "reading-4", 4, effort.readings), place)
    figures += _delays(setting, effort.trips)
    return figures, rows


def _speeds(setting: Setting, load: Load, bare: Bare, turns: int) -> tuple[list[Figure], list[str]]:
    """Let (a), (b) and (c) take turns; the ratios are medians over the turns."""
    polled, ceiling, service = [], [], []
    config = parse_config(setting.tree(load, f"{load.topic}-bare"))
    for turn in range(turns):
        polled.append(polled_per_s(config.kafka, load))
        ceiling.append(scored_per_s(config, load, setting.plant, bare))
        service.append(served_per_s(setting.tree(load, f"{load.topic}-{turn}"), load))
    scores = served_per_s(setting.tree(load, f"{load.topic}-scores", scores=True), load)
    name = f"{load.kind}s, {load.partitions} partition{'s'[: load.partitions > 1]}"
    to_ceiling = statistics.median(c / b for b, c in zip(ceiling, service, strict=True))
    to_poll = statistics.median(c / a for a, c in zip(polled, service, strict=True))
    figures = [
        Figure(f"service/ceiling {name}", to_ceiling, TARGETS[load.kind], form=".2f"),
        Figure(f"service/poll {name}", to_poll, form=".2f"),
        Figure(f"with scores/service {name}", scores / statistics.median(service), form=".2f"),
    ]
    speeds = [*map(statistics.median, (polled, ceiling, service)), scores]
    return figures, [name, *(f"{speed:,.0f}" for speed in speeds)]


def _processor_time(setting: Setting, load: Load, place: Path) -> list[Figure]:
    """Compare what one worker and two spend on the same records."""
    one, two = (
        cpu_per_million(setting.tree(load, f"cpu-{workers}"), load, place, workers)
        for workers in (1, 2)
    )
    return [
        Figure("processor s per 10^6 readings, one worker", one, form=".1f"),
        Figure("processor s per 10^6 readings, two workers", two, form=".1f"),
        Figure("two workers/one", two / one, CPU_TARGET, "at most", form=".2f"),
    ]


def _delays(setting: Setting, trips: int) -> list[Figure]:
    """Compare the way from a window to its incident with the bare way of a record."""
    plant, load = setting.plant, Load("window", "delay", 1, 0)
    create(setting.bootstrap, load.topic, 1)
    create(setting.bootstrap, "delay-out", 1)
    create(setting.bootstrap, "delay-out-2", 1)
    alarm = {"m": 1, "n": 1, "close_after": 1}
    config = parse_config(setting.tree(load, "delay", alarm=alarm))
    names = [f"s{c}" for c in range(plant.sensors)]
    normal = plant.windows(2 * trips + 2, faults=False).values[:: plant.machines]
    records = []
    for i, values in enumerate(normal):
        loud = values + np.float32(500) * (i % 2 == 0 and i >= 2)
        start = (SINCE + i * plant.length) * 10**9
        records.append(window("machine-00", start, names, loud))
    key, first = b"machine-00", records[:2]
    pairs = [records[i : i + 2] for i in range(2, len(records), 2)]
    figures = []
    bare = round_trips(setting.bootstrap, "delay-out", "delay-out-2", key, records[2::2])
    found = {
        "window to incident": delays(setting.bootstrap, config, key, first, pairs),
        "bare round trip": bare,
    }
    for name, seconds in found.items():
        for percent in (50, 99):
            value = float(np.percentile(np.array(seconds) * 1e3, percent))
            figures.append(Figure(f"{name}, ms, p{percent}", value, form=".0f"))
    return figures


if __name__ == "__main__":
    sys.exit(main())
