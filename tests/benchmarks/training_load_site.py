"""Where scoring beside a trainer is measured: services of their own, a trainer that is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stream_ad.config import parse_config
from stream_ad.detector import Detector
from stream_ad.training.registry import Registry
from stream_ad.transport.kafka.labels import TrainRequest, write_request
from tests.benchmarks.generated import Plant
from tests.benchmarks.kafka_load import Load, create
from tests.benchmarks.kafka_service import Setting
from tests.faults.site import AS_A_CHILD, stream_ad
from tests.faults.worker import Event, Worker

PARTITIONS = 4
BEFORE, ENDED = "training", ("training promoted", "training refused", "training failed")
LEADS = "this trainer leads"
PATIENCE_S = 120.0
LEAD_WINDOWS = 2  # of event time before a new detector scores


@dataclass(frozen=True, slots=True)
class Effort:
    """Windows of the full topic, machines, learned windows, turns, seconds of a phase."""

    windows: int
    machines: int
    learned: int
    turns: int
    phase_s: float


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


@contextmanager
def training(place: Place, tree: dict[str, Any]) -> Iterator[Worker]:
    trainer = place.start(tree, "trainer")
    try:
        if trainer.wait_for(lambda event: event.name == LEADS, PATIENCE_S) is None:
            raise TimeoutError(f"no trainer leads: {trainer.tail()}")
        yield trainer
    finally:
        trainer.stop()


@contextmanager
def again_and_again(tree: dict[str, Any], trainer: Worker) -> Iterator[None]:
    """Ask for a training as soon as the one before has ended, or had nothing to learn from."""
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            train_once(tree, trainer, ended)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(PATIENCE_S)


def train_once(tree: dict[str, Any], trainer: Worker, ended: threading.Event | None = None) -> None:
    """Ask for a training and wait until it has ended, or nobody waits any longer."""
    known, deadline = len(trainer.events), time.monotonic() + PATIENCE_S
    write_request(parse_config(tree).kafka, TrainRequest(machine_group="default", who="benchmark"))
    while trainer.wait_for(lambda event: event.name in ENDED, 1.0, known) is None:
        if ended is not None and ended.is_set():
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"no training ends: {trainer.tail()}")


def share_trained(events: Sequence[Event], since: float, until: float) -> float:
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
