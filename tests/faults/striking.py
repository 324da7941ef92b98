"""Kills beside a test, in a thread of their own; what goes wrong there is told at the end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from tests.faults.background import Background
from tests.faults.worker import Event, Worker

LOOK_S = 1.0


class Striking(Background):
    """A context that carries plans out."""

    def __init__(self) -> None:
        super().__init__()
        self._failure: BaseException | None = None

    @abstractmethod
    def _carry_out(self) -> None:
        """Do it; give up soon after ``over`` is set."""

    def finish(self) -> None:
        """Wait until all is carried out; raise what went wrong."""
        self.join()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            self._carry_out()
        except BaseException as error:  # handed to whoever waits for this thread
            self._failure = error

    def _heard(
        self, worker: Worker, wanted: Callable[[Event], bool], patience_s: float
    ) -> Event | None:
        """Return the first event of a kind; None if the process ends, or it takes too long."""
        for _ in range(round(patience_s / LOOK_S)):
            event = worker.wait_for(wanted, LOOK_S)
            if event is not None or not worker.running or self.over.is_set():
                return event
        return None
