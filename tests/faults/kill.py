"""SIGKILL, again and again: every score, incident and dead letter is still there exactly once.

Two workers read a stream of readings and are killed at chosen moments: after their first commit,
often inside a transaction, or between assignment and that commit, often while they restore
states. A worker that nobody kills then reads the same topic into topics of its own, and what
both left is compared, down to the machines' last states.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence

import numpy as np

from tests.benchmarks.table import Figure
from tests.faults import broken, hostile, load
from tests.faults.comparison import Comparison
from tests.faults.crew import Crew
from tests.faults.feeder import Feeder
from tests.faults.form import conduct, fault_options
from tests.faults.lives import Life, killed, recovery
from tests.faults.outcome import Outcome
from tests.faults.plant import Plant
from tests.faults.site import Site, stream_ad
from tests.faults.spans import open_across
from tests.faults.torment import LONGEST_S, MOMENTS, Moment, Torment, plans
from tests.kafka_cluster import Cluster

SEED = 41
SLOTS = 2
DEAD_SHARE = 0.02
KILLS, LONG_KILLS, QUICK_KILLS = 30, 100, 6
STEPS, QUICK_STEPS = 5_400, 480  # readings of each machine
RATE, QUICK_RATE, LAST_RATE = 2_500.0, 800.0, 20_000.0
SILENT = {"windows.idle_s": 0.5}  # so short that machines are silent before the next kill
# What the suite has no time for; the default form keeps the product's own.
QUICK = {"session_timeout_s": 6.0, "checkpoint_s": 2.0}
IN_TRANSACTION: tuple[Moment, ...] = ("in transaction",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the test and return its exit code."""
    parser = fault_options(__doc__)
    parser.add_argument("--long", action="store_true", help=f"{LONG_KILLS} kills")
    parser.add_argument(
        "--broken", action="store_true", help="a build that commits positions outside: must fail"
    )
    arguments = parser.parse_args(argv)
    plant = Plant(QUICK_STEPS if arguments.quick else STEPS, SEED)
    return conduct(arguments, plant, _figures)


def _figures(site: Site, _: Cluster | None, arguments: Namespace) -> Iterator[Figure]:
    kills = QUICK_KILLS if arguments.quick else LONG_KILLS if arguments.long else KILLS
    rng, moments = np.random.default_rng([SEED, 2]), MOMENTS
    records = load.make(site.plant, hostile.SMALL, DEAD_SHARE)
    changes = SILENT | (QUICK if arguments.quick else {})
    command = stream_ad
    if arguments.broken:
        command, moments = broken.command, IN_TRANSACTION
    source = site.create_input()
    service = site.service("killed", source, changes, command)
    rate = QUICK_RATE if arguments.quick else RATE
    with Feeder(site.bootstrap, source, records.records, rate) as feeder, Crew(service) as crew:
        Torment(crew, feeder, plans(kills, rng, moments), SLOTS).run()
        feeder.finish(LAST_RATE)
        crew.drain()
    comparison = Comparison.of(site, service, feeder.bad, changes)
    yield from comparison.figures()
    yield from _what_was_hit(crew.lives, comparison.actual, kills, 1 if arguments.quick else 10)
    yield from crew.figures()
    silent = sum(event["kind"] == "silent" for event in comparison.actual.incidents)
    yield Figure("events of silence, not compared", silent, form=",d")
    yield Figure("readings", len(records.good), 200_000, form=",d")
    yield Figure(
        "late readings", comparison.actual.counts()["late"], 1, form=",d", correctness=True
    )


def _what_was_hit(
    lives: Sequence[Life], actual: Outcome, kills: int, least: int
) -> Iterator[Figure]:
    dead = killed(lives)
    took = [seconds for life in dead if (seconds := recovery(lives, life)) is not None]
    inside = sum(life.in_transaction for life in dead)
    early = sum(life.before_commit for life in dead)
    yield Figure("kills", len(dead), kills, "exactly", form=",d", correctness=True)
    yield Figure("kills inside an open transaction", inside, least, form=",d", correctness=True)
    yield Figure("kills in state restore", sum(life.restoring for life in dead), 5, form=",d")
    yield Figure("kills before the first commit", early, form=",d")
    soon = sum(life.after_commit is not None and life.after_commit <= LONGEST_S for life in dead)
    yield Figure(f"kills within {LONGEST_S:g} s after it", soon, form=",d")
    yield Figure("incidents open across a kill", len(open_across(actual, lives)), 30, form=",d")
    yield Figure("recoveries measured", len(took), form=",d")
    p50, p95 = np.percentile(took, [50, 95]).tolist() if took else (np.nan, np.nan)
    yield Figure("recovery p50 s", p50, form=".1f")
    yield Figure("recovery p95 s", p95, 15, "at most", form=".1f")


if __name__ == "__main__":
    sys.exit(main())
