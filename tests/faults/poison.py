"""Records that nobody can use among good ones: the good are scored, the bad are told, all goes on.

One worker reads readings with broken, wrong, huge and deeply nested records among them, and some
isolated ones from the far future. What it scores has to be what a replay of the good readings
alone gives; each bad record has to be a dead letter with its cause and its own bytes.
"""

from __future__ import annotations

import sys
import urllib.request
from argparse import Namespace
from collections.abc import Iterator, Sequence

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from tests.benchmarks.table import Figure
from tests.faults import hostile, load
from tests.faults.background import Background
from tests.faults.comparison import unlike
from tests.faults.crew import Crew
from tests.faults.feeder import Feeder
from tests.faults.form import conduct, fault_options
from tests.faults.lives import Life
from tests.faults.outcome import LONGEST_MESSAGE, Outcome
from tests.faults.plant import Plant
from tests.faults.replayed import replay_figures
from tests.faults.site import Site
from tests.kafka_cluster import Cluster
from tests.kafka_cluster.ports import HOST, reserve

SEED = 53
HOSTILE_SHARE, JUMP_SHARE = 0.053, 0.003
STEPS, QUICK_STEPS = 2_450, 120  # readings of each machine
RECORDS = 100_000
RATE = 1_500.0
GROWTH = 0.1
MIB = 1 << 20
QUICK = {"checkpoint_s": 2.0}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the test and return its exit code."""
    arguments = fault_options(__doc__).parse_args(argv)
    plant = Plant(QUICK_STEPS if arguments.quick else STEPS, SEED)
    return conduct(arguments, plant, _figures)


def _figures(site: Site, _: Cluster | None, arguments: Namespace) -> Iterator[Figure]:
    records = load.make(site.plant, hostile.ALL, HOSTILE_SHARE, JUMP_SHARE)
    source = site.create_input(max_message_bytes=str(LONGEST_MESSAGE))
    with reserve() as held:
        port = held.getsockname()[1]
    changes = {"metrics.port": port} | (QUICK if arguments.quick else {})
    service = site.service("poisoned", source, changes)
    with Feeder(site.bootstrap, source, records.records, RATE) as feeder, Crew(service) as crew:
        life = crew.start(0)
        with Memory(life) as memory:
            feeder.finish(RATE)
            crew.drain()
        jumps = metric(port, "stream_ad_readings_unused_total", "jump")
    outcome = Outcome.read(site.bootstrap, service.topics)
    yield from replay_figures(site, service, outcome, records)
    wrong = unlike(feeder.bad, outcome)
    yield Figure("dead letters", len(outcome.dead), records.bad, "exactly", ",d", correctness=True)
    yield Figure("dead letters unlike the load's", wrong, 0, "exactly", ",d", correctness=True)
    yield Figure("jumps counted", jumps, records.jumps, "exactly", ",.0f", correctness=True)
    yield Figure("workers that failed unasked", crew.failed, 0, "exactly", ",d", correctness=True)
    yield from memory.figures()
    yield Figure("hostile share", records.bad / len(records.records), 0.05, form=".1%")
    yield Figure("kinds of causes", len({r.cause for r in records.records}) - 1, form=",d")
    yield Figure("records", len(records.records), RECORDS, form=",d")


def metric(port: int, name: str, reason: str) -> float:
    """Return a counter of a worker with a reason; 0 where it never counted."""
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = (sample for family in families for sample in family.samples)
    found = (s.value for s in samples if s.name == name and s.labels.get("reason") == reason)
    return next(found, 0.0)


class Memory(Background):
    """Looks at the resident memory of a worker from its first commit on, twice a second."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self.seen: list[int] = []
        self._life = life

    def figures(self) -> Iterator[Figure]:
        """Yield how the highest memory of the last third stands to that of the first."""
        first, _, last = np.array_split(np.array(self.seen, float), 3)
        growth = float(last.max() / first.max() - 1) if len(last) else float("nan")
        yield Figure("memory growth", growth, GROWTH, "at most", form=".1%")
        yield Figure("highest memory MiB", max(self.seen, default=0) / MIB, form=",.0f")

    def _work(self) -> None:
        worker = self._life.worker
        worker.wait_for(lambda event: event.name == "committed")
        while not self.over.wait(0.5):
            self.seen.append(worker.resident())


if __name__ == "__main__":
    sys.exit(main())
