"""The workers of one service, one per slot, looked after as `stream-ad run` looks after its own."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from tests.benchmarks.table import Figure
from tests.faults.lives import Life
from tests.faults.site import FaultTestError, Service

REFUSED = 2
MOST_FAILURES = 20
DRAIN_S = 900.0
LOOK_S = 0.5


class Crew:
    """Starts workers, and starts them again when they end though nobody asked them to.

    Safe to use from several threads, as long as each has slots of its own.

    Parameters
    ----------
    service : Service

    Attributes
    ----------
    lives : list of Life
        Of all workers, in order of their start.
    failed : int
        Workers that ended unasked.
    disorderly : int
        Workers that were asked to end and did so with another code than 0.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.lives: list[Life] = []
        self.failed = self.disorderly = 0
        self._on: dict[int, Life] = {}
        self._guard = threading.Lock()

    def start(self, slot: int) -> Life:
        """Start the worker of a slot."""
        life = Life(slot, self.service.start(slot))
        with self._guard:
            self.lives.append(life)
            self._on[slot] = life
        return life

    def kill(self, slot: int) -> Life:
        """Kill the worker of a slot, which is not started again by itself."""
        life = self._off(slot)
        life.kill(time.time())
        return life

    def stop(self, slot: int) -> None:
        """Ask the worker of a slot to end, and wait."""
        worker = self._off(slot).worker
        code = worker.stop()
        if code:
            self.disorderly += 1
            say(f"slot {slot} was asked to end and ended with {code}: {worker.tail(5)}")

    def on(self) -> list[Life]:
        """Return the lives that should run now."""
        with self._guard:
            return list(self._on.values())

    def look_after(self) -> None:
        """Start those again that ended unasked.

        Raises
        ------
        FaultTestError
            One says that a person has to act, or they end again and again.
        """
        for life in self.on():
            if not life.worker.running:
                self.replace(life)

    def replace(self, life: Life) -> Life:
        """Start a worker that ended unasked again; raises as `look_after`."""
        self.failed += 1
        life.worker.kill()  # what is left of it: the pipes
        code, tail = life.worker.code, life.worker.tail(5)
        say(f"slot {life.slot} ended unasked with {code}: {tail}")
        if code == REFUSED or self.failed > MOST_FAILURES:
            raise FaultTestError(f"workers cannot go on, the last ended with {code}: {tail}")
        return self.start(life.slot)

    def drain(self, timeout_s: float = DRAIN_S) -> None:
        """Wait until every reading is in a committed state.

        Raises
        ------
        FaultTestError
            It took too long, or as `look_after`.
        """
        deadline = time.monotonic() + timeout_s
        while lag := self.service.lag():
            self.look_after()
            if time.monotonic() > deadline:
                tails = "\n".join(life.worker.tail() for life in self.on())
                raise FaultTestError(f"{lag} records are not read after {timeout_s:g} s: {tails}")
            time.sleep(LOOK_S)

    def figures(self) -> Iterator[Figure]:
        """Yield how workers ended, other than by our hand."""
        yield Figure("workers that failed unasked", self.failed, form=",d")
        yield Figure("ends out of order", self.disorderly, 0, "exactly", form=",d")

    def _off(self, slot: int) -> Life:
        with self._guard:
            return self._on.pop(slot)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for life in self.on():
            self.stop(life.slot) if kind is None else self.kill(life.slot)


def say(text: str) -> None:
    """Tell whoever waits for the test how far it is."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
