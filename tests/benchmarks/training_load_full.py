"""Windows per second of a worker that reads a full topic, alone and beside a trainer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.benchmarks.kafka_load import Load, fill
from tests.benchmarks.table import Figure, Grid, show
from tests.benchmarks.training_load_site import (
    BEFORE,
    PARTITIONS,
    PATIENCE_S,
    Place,
    again_and_again,
    share_trained,
    training,
)

SLOWER = 0.7  # asked
LOOK_S = 0.1


def saturated(place: Place) -> tuple[float, list[Figure]]:
    """Return windows per second without a training, and the figures."""
    effort = place.effort
    load = Load("window", "full", PARTITIONS, effort.windows)
    fill(place.bootstrap, place.plant, load)
    alone, beside, shares = [], [], []
    for turn in range(effort.turns):
        alone.append(per_s(_served(place, place.service(f"alone-{turn}", load.topic), load), 0.0))
        tree = place.service(f"beside-{turn}", load.topic)
        with training(place, tree) as trainer, again_and_again(tree, trainer):
            seen = _served(place, tree, load)
            begun = next((e.at for e in [*trainer.events] if e.name == BEFORE), seen[0][0])
            beside.append(per_s(seen, begun))
            shares.append(share_trained(trainer.events, begun, seen[-1][0]))
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


def per_s(seen: Sequence[tuple[float, int]], since: float) -> float:
    """Return windows per second from the first commit after a time to the last look but one.

    NaN of fewer than two looks.

    Examples
    --------
    >>> per_s([(0.0, 0), (1.0, 0), (2.0, 10), (4.0, 50), (5.0, 52)], 1.5)
    20.0
    """
    under_way = [one for one in seen[:-1] if one[1] > 0 and one[0] >= since]
    if len(under_way) < 2:
        return float("nan")
    (first, before), (last, after) = under_way[0], under_way[-1]
    return (after - before) / (last - first)
