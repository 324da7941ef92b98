"""Brokers that are killed in turn under load: nothing is lost, repeated or changed.

Two workers read from three brokers, with each record on all of them. One broker after the other
is killed and started again, while readings keep coming; a worker that gives up is started again,
as `stream-ad run` does. Then one worker reads the same topic undisturbed.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise

import numpy as np

from tests.benchmarks.table import Figure
from tests.faults import hostile, load
from tests.faults.comparison import Comparison
from tests.faults.crew import Crew, say
from tests.faults.feeder import Feeder
from tests.faults.form import conduct, fault_options
from tests.faults.lives import COMMITS, Life
from tests.faults.plant import Plant
from tests.faults.site import Site
from tests.kafka_cluster import Cluster, Node
from tests.kafka_cluster.waiting import until

SEED = 43
SLOTS = 2
DEAD_SHARE = 0.02
KILLS, QUICK_KILLS = 10, 3
STEPS, QUICK_STEPS = 3_000, 480  # readings of each machine
RATE, LAST_RATE = 400.0, 5_000.0
DOWN_S = 4.0
AT_WORK_S = 120.0
QUICK = {"checkpoint_s": 2.0}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the test and return its exit code."""
    arguments = fault_options(__doc__, own_cluster=True).parse_args(argv)
    plant = Plant(QUICK_STEPS if arguments.quick else STEPS, SEED)
    return conduct(arguments, plant, _figures, nodes=3)


def _figures(site: Site, cluster: Cluster | None, arguments: Namespace) -> Iterator[Figure]:
    assert cluster is not None
    kills = QUICK_KILLS if arguments.quick else KILLS
    records = load.make(site.plant, hostile.SMALL, DEAD_SHARE)
    changes = QUICK if arguments.quick else {}
    source = site.create_input()
    service = site.service("disturbed", source, changes)
    with ExitStack() as stack:
        feeder = stack.enter_context(Feeder(site.bootstrap, source, records.records, RATE))
        crew = stack.enter_context(Crew(service))
        feeder.allow(0.01)
        for slot in range(SLOTS):
            crew.start(slot)
        _await_commits(crew)
        gaps = []
        for number in range(kills):
            feeder.allow((number + 1) / (kills + 1))
            gaps.append(_bounce(cluster.nodes[number % len(cluster.nodes)], cluster, crew))
        feeder.finish(LAST_RATE)
        crew.drain()
    comparison = Comparison.of(site, service, feeder.bad, changes)
    yield from comparison.figures()
    yield Figure("kills of a broker", len(gaps), kills, "exactly", form=",d", correctness=True)
    yield Figure("pause p50 s", float(np.median(gaps)), form=".1f")
    yield Figure("longest pause s", max(gaps), form=".1f")
    yield from crew.figures()
    yield Figure("readings", len(records.good), form=",d")


def _bounce(node: Node, cluster: Cluster, crew: Crew) -> float:
    """Kill a broker, start it again, wait until everybody is at work; return the longest pause."""
    began = time.monotonic()
    node.kill()
    time.sleep(DOWN_S)
    crew.look_after()
    node.start()
    node.wait_until_serving(others={one.number for one in cluster.nodes})
    say(f"broker {node.number} is back after {time.monotonic() - began:.0f} s")
    _await_commits(crew)
    return _longest_pause(crew, began)


def _await_commits(crew: Crew) -> None:
    """Wait until every worker commits again: the next kill has to find it at work."""
    since = time.monotonic()

    def all_commit() -> bool:
        crew.look_after()
        return all(any(at > since for at in _commits(life)) for life in crew.on())

    until(all_commit, AT_WORK_S, pause_s=0.2)


def _longest_pause(crew: Crew, since: float) -> float:
    """Return the longest time in which nobody committed."""
    moments = sorted(at for life in crew.lives for at in _commits(life) if at > since)
    edges = [since, *moments, time.monotonic()]
    return max(later - earlier for earlier, later in pairwise(edges))


def _commits(life: Life) -> list[float]:
    return [event.at for event in list(life.worker.events) if event.name in COMMITS]


if __name__ == "__main__":
    sys.exit(main())
