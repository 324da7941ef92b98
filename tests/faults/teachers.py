"""The trainer of a service, killed at chosen moments of its work and started again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tests.faults.crew import say
from tests.faults.pace import Pace
from tests.faults.site import AS_A_CHILD, FaultTestError, Service
from tests.faults.striking import Striking
from tests.faults.worker import Event, Worker
from tests.kafka_cluster.waiting import until

Moment = Literal["early", "following", "training", "deciding", "announcing"]
# Most of them where something is half done.
MOMENTS: tuple[Moment, ...] = (
    *("announcing", "training", "deciding", "following"),
    *("training", "announcing", "early", "deciding"),
)
LEADS, TRAINING = "this trainer leads", "training"
OUTCOMES = ("training promoted", "training refused", "training failed")
EARLY_S, FOLLOWING_S, HALF_DONE_S = 6.0, 5.0, 0.8
PATIENCE_S = 300.0
LOOK_S = 0.005


@dataclass(frozen=True, slots=True)
class Plan:
    """One kill to come: the moment, and a share of the time that the moment leaves open."""

    moment: Moment
    share: float


def plans(kills: int, rng: np.random.Generator) -> list[Plan]:
    """Return plans with each moment about equally often."""
    return [Plan(MOMENTS[n % len(MOMENTS)], float(rng.random())) for n in range(kills)]


class Teachers(Striking):
    """Carries plans out; the last trainer is left at work.

    Parameters
    ----------
    service : Service
    folder : Path
        Where the detectors of its machine group lie.
    plans : sequence of Plan
    pace : Pace

    Attributes
    ----------
    lives : list of Worker
        Of all trainers, in order of their start.
    killed : Counter of str
        By moment.
    failed : int
        Trainers that ended unasked.
    took : list of float
        Seconds from a kill until another trainer led.
    """

    def __init__(self, service: Service, folder: Path, plans: Sequence[Plan], pace: Pace) -> None:
        super().__init__()
        self.lives: list[Worker] = []
        self.killed: Counter[str] = Counter()
        self.failed, self.took = 0, list[float]()
        self._service, self._folder, self._plans, self._pace = service, folder, plans, pace

    def stop(self) -> int:
        """Ask the last trainer to end; return its exit code."""
        return self.lives[-1].stop()

    def events(self, *names: str) -> list[Event]:
        """Return what all trainers said of these."""
        return [e for worker in self.lives for e in list(worker.events) if e.name in names]

    def _carry_out(self) -> None:
        self._start()
        for plan in self._plans:
            self._strike(plan)

    def _start(self) -> None:
        command = self._service.command("trainer", "--config", self._service.config)
        log = self._service.config.with_name(f"{self._service.config.stem}.trainer.log")
        self.lives.append(Worker([*AS_A_CHILD, *command], log))

    def _strike(self, plan: Plan) -> None:
        while not self._await(plan):
            if self.lives[-1].running:
                missed = f"no moment to kill the trainer: {plan.moment}, {PATIENCE_S:g} s"
                raise FaultTestError(f"{missed}: {self.lives[-1].tail()}")
            self._replace()
        at = self.lives[-1].kill()
        self.killed[plan.moment] += 1
        say(f"trainer killed, {self.killed.total()} of {len(self._plans)}: {plan.moment}")
        self._pace.step()
        self._start()
        if plan.moment != "early" and (event := self._said(_is(LEADS))) is not None:
            self.took.append(event.at - at)

    def _replace(self) -> None:
        self.failed += 1
        self.lives[-1].kill()  # what is left of it: the pipes
        say(f"the trainer ended unasked with {self.lives[-1].code}: {self.lives[-1].tail(5)}")
        self._start()

    def _await(self, plan: Plan) -> bool:
        """Wait for the moment; False when the trainer ended before, or the moment never came."""
        if plan.moment == "early":
            return self._after(True, plan.share * EARLY_S)
        if plan.moment == "following":
            promoted = self._said(_is(OUTCOMES[0])) is not None
            return self._after(promoted, plan.share * FOLLOWING_S)
        if plan.moment == "training":
            begun = self._said(_begins) is not None
            return self._after(begun, plan.share * self._usual())
        known = {path.name for path in self._half_done(plan.moment)}
        there = self._until(lambda: any(p.name not in known for p in self._half_done(plan.moment)))
        return self._after(there, plan.share * HALF_DONE_S)

    def _half_done(self, moment: Moment) -> list[Path]:
        """Return the artifacts, one more of which is not promoted yet, or the promotions."""
        folder = self._folder / "promotions" if moment == "announcing" else self._folder
        if not folder.is_dir():
            return []
        return [path for path in folder.iterdir() if path.stem.isdecimal()]

    def _said(self, wanted: Callable[[Event], bool]) -> Event | None:
        return self._heard(self.lives[-1], wanted, PATIENCE_S)

    def _until(self, condition: Callable[[], bool]) -> bool:
        def met() -> bool:
            return condition() or not self.lives[-1].running or self.over.is_set()

        return until(met, PATIENCE_S, pause_s=LOOK_S) and self.lives[-1].running

    def _after(self, come: bool, seconds: float) -> bool:
        if come:
            time.sleep(seconds)
        return come and self.lives[-1].running

    def _usual(self) -> float:
        """Return the median time that trainings have taken."""
        took = [float(event.fields["seconds"]) for event in self.events(*OUTCOMES)]
        return float(np.median(took)) if took else 2.0


def _is(name: str) -> Callable[[Event], bool]:
    return lambda event: event.name == name


def _begins(event: Event) -> bool:
    return event.name == TRAINING and event.fields["said"].startswith("training anew")
