"""Workers that are killed at chosen moments and started again."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tests.faults.crew import Crew, say
from tests.faults.feeder import Feeder
from tests.faults.lives import BEGIN, COMMIT, RESTORED, Life, has_partitions
from tests.faults.site import FaultTestError
from tests.faults.worker import Worker

Moment = Literal["after commit", "in transaction", "in restore", "before commit"]
# Two thirds within 2 s of the first commit, one third before it.
MOMENTS: tuple[Moment, ...] = (
    *("in transaction", "in restore", "in transaction"),
    *("in transaction", "before commit", "after commit"),
    *("in transaction", "in restore", "in transaction"),
    *("in transaction", "in restore", "in transaction"),
)
LONGEST_S = 2.0
AIM_S = 0.5  # of it are left to wait for the beginning of a transaction
REST_S = 8.0  # of the load at half-time: long enough for a worker to start and see silence
PATIENCE_S = 240.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One kill to come: the moment, and a share of the time that the moment leaves open."""

    moment: Moment
    share: float


def plans(kills: int, rng: np.random.Generator, moments: Sequence[Moment] = MOMENTS) -> list[Plan]:
    """Return plans with each moment equally often, in any order."""
    turn = rng.permutation([moments[n % len(moments)] for n in range(kills)]).tolist()
    return [Plan(moment, float(rng.random())) for moment in turn]


class Torment:
    """Carries plans out, slots side by side.

    Parameters
    ----------
    crew : Crew
    feeder : Feeder
        May send a further part of its load after each kill, so that it lasts to the end.
    plans : sequence of Plan
    slots : int
    """

    def __init__(self, crew: Crew, feeder: Feeder, plans: Sequence[Plan], slots: int) -> None:
        self._crew, self._feeder = crew, feeder
        self._plans, self._slots = plans, slots
        self._done = 0
        self._guard = threading.Lock()
        self._errors: list[Exception] = []

    def run(self) -> None:
        """Carry out all plans; every slot has a worker afterwards."""
        self._feed()
        slots = range(self._slots)
        turns = [threading.Thread(target=self._guarded, args=(slot,)) for slot in slots]
        for turn in turns:
            turn.start()
        for turn in turns:
            turn.join()
        if self._errors:
            raise self._errors[0]

    def _guarded(self, slot: int) -> None:
        try:
            life = self._crew.start(slot)
            for plan in self._plans[slot :: self._slots]:
                life = self._strike(life, plan)
        except Exception as error:  # handed to whoever waits for this thread
            self._errors.append(error)

    def _strike(self, life: Life, plan: Plan) -> Life:
        """Kill a worker as planned, however often it has to be started for that; start anew."""
        while not self._await(life.worker, plan):
            if life.worker.running:
                missed = f"slot {life.slot}: no kill {plan.moment} within {PATIENCE_S:g} s"
                raise FaultTestError(f"{missed}: {life.worker.tail()}")
            life = self._crew.replace(life)
        self._crew.kill(life.slot)
        with self._guard:
            self._done += 1
            if self._done == len(self._plans) // 2:
                self._feeder.rest(REST_S)
            say(f"kill {self._done} of {len(self._plans)}: slot {life.slot}, {plan.moment}")
        self._feed()
        return self._crew.start(life.slot)

    def _feed(self) -> None:
        self._feeder.allow((self._done + 1) / (len(self._plans) + 1))

    def _await(self, worker: Worker, plan: Plan) -> bool:
        """Wait for the moment; False when the worker ended before, or the moment never came."""
        if plan.moment in {"in restore", "before commit"}:
            return self._await_start(worker, plan)
        commit = worker.wait_for(lambda event: event.name == COMMIT, PATIENCE_S)
        if commit is None:
            return False
        aims = plan.moment == "in transaction"
        _sleep_until(commit.at + plan.share * (LONGEST_S - AIM_S * aims))
        if aims:
            seen = len(worker.events)
            worker.wait_for(lambda event: event.name == BEGIN, AIM_S, seen)
            time.sleep(plan.share * 0.4 * _usual_transaction(worker))
        return worker.running

    def _await_start(self, worker: Worker, plan: Plan) -> bool:
        assigned = worker.wait_for(has_partitions, PATIENCE_S)
        if assigned is None:
            return False
        name = RESTORED if plan.moment == "in restore" else COMMIT
        _sleep_until(assigned.at + plan.share * 0.8 * self._usual(name))
        return worker.running

    def _usual(self, name: str) -> float:
        """Return the shortest time that earlier workers took from assignment to an event."""
        took = []
        for life in list(self._crew.lives):
            begun = next(filter(has_partitions, life.worker.events), None)
            ended = life.first(name)
            if begun is not None and ended is not None and ended.at > begun.at:
                took.append(ended.at - begun.at)
        return min(took, default=0.05)


def _usual_transaction(worker: Worker) -> float:
    """Return the median time that a worker's transactions have taken."""
    took, began = [], None
    for event in list(worker.events):
        if event.name == BEGIN:
            began = event.at
        elif event.name == COMMIT and began is not None:
            took.append(event.at - began)
    return float(np.median(took)) if took else 0.0


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.monotonic()))
