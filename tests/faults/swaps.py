"""Workers that are killed while another detector takes over, and started again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tests.faults.crew import Crew, say
from tests.faults.lives import BEGIN, Life
from tests.faults.pace import Pace
from tests.faults.site import FaultTestError
from tests.faults.striking import Striking

Moment = Literal["loaded", "in transaction", "counting"]
MOMENTS: tuple[Moment, ...] = ("in transaction", "loaded", "counting")
LOADED, COUNTS = "a promoted detector is loaded", "a promotion counts"
LONGEST_S, AIM_S = 0.2, 3.0
PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One kill to come: the moment, and a share of the time that the moment leaves open."""

    moment: Moment
    share: float


def plans(kills: int, rng: np.random.Generator) -> list[Plan]:
    """Return plans with each moment about equally often."""
    return [Plan(MOMENTS[n % len(MOMENTS)], float(rng.random())) for n in range(kills)]


class Swaps(Striking):
    """Carries plans out on the worker of one slot, each after it has loaded a detector.

    Parameters
    ----------
    crew : Crew
    slot : int
    plans : sequence of Plan
    pace : Pace

    Attributes
    ----------
    struck : list of Life
        Those that were killed.
    """

    def __init__(self, crew: Crew, slot: int, plans: Sequence[Plan], pace: Pace) -> None:
        super().__init__()
        self.struck: list[Life] = []
        self._crew, self._slot, self._plans, self._pace = crew, slot, plans, pace

    def _carry_out(self) -> None:
        life = self._crew.start(self._slot)
        for plan in self._plans:
            life = self._strike(life, plan)

    def _strike(self, life: Life, plan: Plan) -> Life:
        while not self._await(life, plan):
            if life.worker.running:
                missed = f"slot {self._slot}: no swap to be killed in within {PATIENCE_S:g} s"
                raise FaultTestError(f"{missed}: {life.worker.tail()}")
            life = self._crew.replace(life)
        self.struck.append(self._crew.kill(self._slot))
        say(f"slot {self._slot} killed at a swap, {plan.moment}")
        self._pace.step()
        return self._crew.start(self._slot)

    def _await(self, life: Life, plan: Plan) -> bool:
        """Wait for the moment; False when the worker ended before, or the moment never came."""
        worker = life.worker
        if self._heard(worker, lambda event: event.name == LOADED, PATIENCE_S) is None:
            return False
        seen, longest = len(worker.events), LONGEST_S
        if plan.moment == "in transaction":
            worker.wait_for(lambda event: event.name == BEGIN, AIM_S, seen)
            longest = 0.05
        elif plan.moment == "counting":
            worker.wait_for(lambda event: event.name == COUNTS, AIM_S, seen)
            longest = 0.1
        time.sleep(plan.share * longest)
        return worker.running


def before_it_counted(life: Life) -> bool:
    """Return whether a worker was killed with a detector loaded that counted nowhere of its own."""
    loaded = [e.fields["promotion"] for e in life.worker.events if e.name == LOADED]
    counted = {e.fields["promotion"] for e in life.worker.events if e.name == COUNTS}
    return bool(loaded) and loaded[-1] not in counted
