"""Workers that join, leave, are killed, and stand still for longer than others wait."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.crew import Crew, say
from tests.faults.lives import BEGIN, COMMIT, COMMITS, Life, has_partitions
from tests.faults.site import FaultTestError
from tests.kafka_cluster.waiting import until

SLOTS = 3
PATIENCE_S = 240.0


class Unrest:
    """What is done to a crew, one thing after the other; the worker of slot 0 stays.

    Each step ends when the group has answered it.

    Parameters
    ----------
    crew : Crew

    Attributes
    ----------
    joins, leaves, restarts, pauses : int
        What was done.
    inside : int
        Pauses that began inside a transaction.
    took : list of float
        Seconds until others took over from a worker that had gone or stood still.
    """

    def __init__(self, crew: Crew) -> None:
        self.joins = self.leaves = self.restarts = self.pauses = self.inside = 0
        self.took: list[float] = []
        self._crew = crew
        self._await_assigned(crew.start(0))

    def change(self) -> None:
        """Let a worker join or leave: two come one after the other, then they go, and so on."""
        present = {life.slot for life in self._crew.on()}
        growing = (self.joins + self.leaves) % (2 * (SLOTS - 1)) < SLOTS - 1
        if growing:
            self.join(min(set(range(SLOTS)) - present))
        else:
            self.leave(max(present))

    def join(self, slot: int) -> None:
        """Start a worker and wait until it has partitions."""
        took = self._await_assigned(self._crew.start(slot))
        self.joins += 1
        say(f"slot {slot} joined within {took:.0f} s")

    def leave(self, slot: int) -> None:
        """Ask a worker to end and wait until others have what it had."""
        life = next(life for life in self._crew.on() if life.slot == slot)
        self._crew.stop(slot)
        self.leaves += 1
        self._await_taken(life, time.monotonic())
        say(f"slot {slot} left, and others took over after {self.took[-1]:.0f} s")

    def restart(self) -> None:
        """Kill the last worker and start it again at once."""
        slot = self._last().slot
        self._crew.kill(slot)
        took = self._await_assigned(self._crew.start(slot))
        self.restarts += 1
        say(f"slot {slot} was killed and had partitions again after {took:.0f} s")

    def pause(self, least_s: float) -> None:
        """Stop the last worker, inside a transaction if it can be, until others have taken over.

        Parameters
        ----------
        least_s : float
            It stands still for so long at least.
        """
        if len(self._crew.on()) < 2:
            self.join(1)
        life = self._last()
        life.worker.wait_for(lambda event: event.name == BEGIN, PATIENCE_S, len(life.worker.events))
        life.worker.freeze()
        began = time.monotonic()
        time.sleep(0.2)  # until what it had said is read
        self.inside += life.last_of(BEGIN, COMMIT) == BEGIN
        self._await_taken(life, began)
        time.sleep(max(0.0, began + least_s - time.monotonic()))
        thawed = time.monotonic()
        life.worker.thaw()
        self.pauses += 1
        say(f"slot {life.slot} stood still for {thawed - began:.0f} s")
        self._await(lambda: self._took_part_since(life.slot, thawed), life)

    def _last(self) -> Life:
        return max(self._crew.on(), key=lambda life: life.slot)

    def _took_part_since(self, slot: int, since: float) -> bool:
        """Return whether a slot's worker, or its successor if it ended, commits again.

        It may believe for a while to have partitions, but then its commits are refused.
        """
        life = next(one for one in self._crew.on() if one.slot == slot)
        return any(event.name in COMMITS and event.at > since for event in list(life.worker.events))

    def _await_assigned(self, life: Life) -> float:
        began = time.monotonic()
        self._await(lambda: any(map(has_partitions, list(life.worker.events))), life)
        return time.monotonic() - began

    def _await_taken(self, gone: Life, since: float) -> None:
        others = [life for life in self._crew.on() if life is not gone]
        self._await(lambda: any(at > since for life in others for at, _ in life.takings()), gone)
        self.took.append(time.monotonic() - since)

    def _await(self, condition: Callable[[], bool], life: Life) -> None:
        def met() -> bool:
            self._crew.look_after()
            return condition()

        if not until(met, PATIENCE_S):
            tails = "\n".join(one.worker.tail() for one in self._crew.on())
            raise FaultTestError(f"the group did not answer what slot {life.slot} did: {tails}")
