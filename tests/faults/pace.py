"""The load's share that may be sent by now: a step further after each thing that is done."""

from __future__ import annotations

import threading

from tests.faults.feeder import Feeder


class Pace:
    """Lets the load last until everything that is planned is done.

    Safe to use from several threads.

    Parameters
    ----------
    feeder : Feeder
    steps : int
        Things that are planned.
    head : int
        Steps ahead that the load goes at once, so that there is something to learn from.
    """

    def __init__(self, feeder: Feeder, steps: int, head: int) -> None:
        self._feeder, self._steps, self._done = feeder, steps + head, head - 1
        self._guard = threading.Lock()
        self.step()

    def step(self) -> None:
        """Let a further part of the load go."""
        with self._guard:
            self._done += 1
            self._feeder.allow((self._done + 1) / (self._steps + 1))
