"""Workers that come and go, and one that stands still: nothing is lost, repeated or changed.

One worker stays. Others join and leave it while readings keep coming, one is killed and started
again, and one is stopped for longer than its session, and than its transaction may take: its
partitions go to others while it believes to hold them, and then it is let go on. Afterwards one
worker reads the same topic undisturbed, and the same stream is replayed as a recording.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from tests.benchmarks.table import Figure
from tests.faults import hostile, load
from tests.faults.comparison import Comparison
from tests.faults.crew import Crew
from tests.faults.feeder import Feeder
from tests.faults.form import conduct, fault_options
from tests.faults.plant import Plant
from tests.faults.replayed import replay_figures
from tests.faults.site import Site
from tests.faults.unrest import Unrest
from tests.kafka_cluster import Cluster

SEED = 47
DEAD_SHARE = 0.02
CHANGES, QUICK_CHANGES = 20, 4
STEPS, QUICK_STEPS = 3_000, 480  # readings of each machine
RATE, LAST_RATE = 800.0, 20_000.0
# The product's own session and transaction end after 10 s and 30 s, and what is left open by a
# transaction that took longer is cleared away within 10 s more.
PAUSES_S, QUICK_PAUSES_S = (15.0, 45.0, 15.0, 45.0), (10.0,)
QUICK = {"session_timeout_s": 4.0, "transaction_timeout_s": 6.0, "checkpoint_s": 2.0}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the test and return its exit code."""
    arguments = fault_options(__doc__).parse_args(argv)
    plant = Plant(QUICK_STEPS if arguments.quick else STEPS, SEED)
    return conduct(arguments, plant, _figures)


def _figures(site: Site, _: Cluster | None, arguments: Namespace) -> Iterator[Figure]:
    changes = QUICK if arguments.quick else {}
    records = load.make(site.plant, hostile.SMALL, DEAD_SHARE)
    source = site.create_input()
    service = site.service("disturbed", source, changes)
    with Feeder(site.bootstrap, source, records.records, RATE) as feeder, Crew(service) as crew:
        feeder.allow(0.01)
        unrest = Unrest(crew)
        steps = _steps(unrest, quick=arguments.quick)
        for number, step in enumerate(steps):
            feeder.allow((number + 1) / (len(steps) + 1))
            step()
        feeder.finish(LAST_RATE)
        crew.drain()
    comparison = Comparison.of(site, service, feeder.bad, changes)
    yield from comparison.figures()
    yield from replay_figures(site, service, comparison.actual, records)
    yield from _done(unrest, QUICK_CHANGES if arguments.quick else CHANGES)
    yield from crew.figures()
    yield Figure("readings", len(records.good), form=",d")


def _steps(unrest: Unrest, *, quick: bool) -> list[Callable[[], None]]:
    steps = [unrest.change] * (QUICK_CHANGES if quick else CHANGES)
    steps.insert(len(steps) // 4 + 1, unrest.restart)
    for seconds in QUICK_PAUSES_S if quick else PAUSES_S:
        steps.append(partial(unrest.pause, seconds))
    return steps


def _done(unrest: Unrest, changes: int) -> Iterator[Figure]:
    both = unrest.joins + unrest.leaves
    yield Figure("joins and leaves", both, changes, form=",d", correctness=True)
    yield Figure("joins", unrest.joins, form=",d")
    yield Figure("restarts", unrest.restarts, 1, form=",d", correctness=True)
    yield Figure("pauses beyond the session", unrest.pauses, 1, form=",d", correctness=True)
    yield Figure("of them inside a transaction", unrest.inside, form=",d")
    yield Figure("taken over p50 s", float(np.median(unrest.took)), form=".1f")
    yield Figure("taken over, longest s", max(unrest.took), form=".1f")


if __name__ == "__main__":
    sys.exit(main())
