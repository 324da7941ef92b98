"""Trainer and workers killed around promotions: nothing lost, nothing half-promoted.

A trainer trains anew again and again and is killed at moments of all kinds: before it leads, in
the middle of a training, between the artifact and its promotion, between the promotion and its
announcement. Two workers follow it and are killed while they take a new detector over. What they
told is then compared with a replay of the topic, in which the same promotions count from the
same offsets on; and the registry with what was announced and what scored.
"""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.benchmarks.table import Figure
from tests.faults import hostile, load, swaps, teachers
from tests.faults.comparison import unlike
from tests.faults.crew import Crew
from tests.faults.feeder import Feeder
from tests.faults.form import conduct, fault_options
from tests.faults.oracle import compare
from tests.faults.outcome import Outcome
from tests.faults.pace import Pace
from tests.faults.plant import Plant
from tests.faults.promoted import Promoted
from tests.faults.replayed import live, replay
from tests.faults.site import Service, Site
from tests.faults.striking import Striking
from tests.faults.swaps import Swaps
from tests.faults.teachers import Teachers
from tests.kafka_cluster import Cluster

SEED = 53
SLOTS = 2
DEAD_SHARE = 0.01
KILLS, QUICK_KILLS = 20, 3  # of the trainer, and as many of workers
STEPS, QUICK_STEPS = 2_400, 480  # readings of each machine
RATE, LAST_RATE = 800.0, 20_000.0
NAME = "killed"
# Trainings follow each other as fast as the load goes, and nearly all are promoted: the machines
# have faults all the time, which is nothing that a gate should let pass.
TRAINING: dict[str, Any] = {
    "training.every_windows": 250,
    "training.min_windows": 50,
    "training.buffer_windows": 2_000,
    "training.lead_s": 3_600,
    "training.quarantine_s": 1_800,
    "training.gate": {"recall_loss": 1, "worst_loss": 1},
    "training.alone": None,
    "drift.max_per_day": 1e3,
    "drift.max_total": 1e3,
    "alarm.budget_per_machine_day": 5,
    "registry.keep": 1_000,  # the replay scores by all of them
}
QUICK: dict[str, Any] = {
    "session_timeout_s": 4.0,
    "checkpoint_s": 2.0,
    "detector.model": "linear",
    "detector.scorer": "error",
    "training.every_windows": 60,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the test and return its exit code."""
    arguments = fault_options(__doc__).parse_args(argv)
    plant = Plant(QUICK_STEPS if arguments.quick else STEPS, SEED)
    return conduct(arguments, plant, _figures)


def _figures(site: Site, _: Cluster | None, arguments: Namespace) -> Iterator[Figure]:
    kills = QUICK_KILLS if arguments.quick else KILLS
    rng = np.random.default_rng([SEED, 2])
    records = load.make(site.plant, hostile.SMALL, DEAD_SHARE)
    source = site.create_input()
    service = _service(site, source, QUICK if arguments.quick else {})
    registry = Path(service.settings["registry"]["uri"])
    with Feeder(site.bootstrap, source, records.records, RATE) as feeder, Crew(service) as crew:
        pace = Pace(feeder, 2 * kills, kills)
        trainers = Teachers(service, registry / "default", teachers.plans(kills, rng), pace)
        at_swaps = _slots(crew, swaps.plans(kills, rng), pace)
        with ExitStack() as stack:
            strikings: list[Striking] = [*at_swaps, trainers]
            for striking in strikings:
                stack.enter_context(striking)
            for striking in strikings:
                striking.finish()
        feeder.finish(LAST_RATE)
        crew.drain()
        code = trainers.stop()
    outcome = Outcome.read(site.bootstrap, service.topics)
    yield from _as_replayed(site, service, outcome)
    yield Figure(
        "dead letters unlike the load's",
        unlike(feeder.bad, outcome),
        0,
        "exactly",
        correctness=True,
    )
    yield from Promoted.read(service, outcome).figures()
    yield from _what_was_hit(trainers, at_swaps, kills)
    yield from crew.figures()
    yield Figure("trainers that failed unasked", trainers.failed, form=",d")
    yield Figure("exit code of the last trainer", code, 0, "exactly", form=",d")
    yield Figure("readings", len(records.good), form=",d")


def _slots(crew: Crew, plans: Sequence[swaps.Plan], pace: Pace) -> list[Swaps]:
    return [Swaps(crew, slot, plans[slot::SLOTS], pace) for slot in range(SLOTS)]


def _service(site: Site, source: str, changes: dict[str, Any]) -> Service:
    """Return a service with a registry and topics of its own, the detector of the past in it."""
    registry = site.folder / f"registry-{NAME}"
    shutil.copytree(site.registry, registry)
    parts = {"dead_letter": "dead"}
    roles = ("alerts", "scores", "dead_letter", "state", "labels", "models")
    topics = {role: f"{source}.{NAME}.{parts.get(role, role)}" for role in roles}
    own = {"topics": topics | {"input": source}, "registry.uri": str(registry)}
    return site.service(NAME, source, TRAINING | changes | own)


def _as_replayed(site: Site, service: Service, outcome: Outcome) -> Iterator[Figure]:
    """Yield how the live run stands to a replay of its topic with the same activations."""
    sections = ("training", "drift")  # the one trains no more, of the other only its causes
    tree = {name: keys for name, keys in service.settings.items() if name != sections[0]}
    config = site.folder / "replay.yaml"
    config.write_text(yaml.safe_dump(tree))
    times = ["--from-time", "2000-01-01T00:00:00Z", "--to-time", datetime.now(UTC).isoformat()]
    topic = ["--from-topic", service.topics.input, *times]
    actual = live(outcome)
    for kind, expected in replay(config, site.folder / "replayed", *topic).items():
        yield from compare(expected, actual[kind]).figures(kind)


def _what_was_hit(trainers: Teachers, at_swaps: Sequence[Swaps], kills: int) -> Iterator[Figure]:
    struck = [life for swap in at_swaps for life in swap.struck]
    killed = trainers.killed.total()
    yield Figure("kills of the trainer", killed, kills, "exactly", form=",d", correctness=True)
    for moment, number in sorted(trainers.killed.items()):
        yield Figure(f"of them {moment}", number, form=",d")
    yield Figure(
        "kills of workers at swaps", len(struck), kills, "exactly", form=",d", correctness=True
    )
    early = sum(map(swaps.before_it_counted, struck))
    yield Figure("of them before it counted", early, form=",d")
    inside = sum(life.in_transaction for life in struck)
    yield Figure("of them inside an open transaction", inside, form=",d")
    for outcome in teachers.OUTCOMES:
        yield Figure(f"{outcome}, as told", len(trainers.events(outcome)), form=",d")
    went_on = len(trainers.events("goes on from its snapshot"))
    yield Figure("starts from a snapshot", went_on, 1, form=",d", correctness=True)
    anew = trainers.events("learns from the earliest records that the topics still have")
    damaged = sum("nothing was saved" not in event.fields["reason"] for event in anew)
    yield Figure("snapshots found damaged", damaged, 0, "exactly", form=",d", correctness=True)
    took = trainers.took or [float("nan")]
    yield Figure("until another trainer leads, p50 s", float(np.median(took)), form=".1f")
    yield Figure("until another trainer leads, longest s", max(took), form=".1f")


if __name__ == "__main__":
    sys.exit(main())
