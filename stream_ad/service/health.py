"""Whether a worker lives and is ready, in one sentence where it is not."""

from __future__ import annotations

import time
from collections.abc import Callable


class Health:
    """What the worker's loop tells, and what the endpoints answer from it.

    Parameters
    ----------
    turn_s : float
        A loop whose last turn is older is stuck.
    stalled_s : float
        A worker that lags and took no record for so long is stuck too, however it turns.
    clock : callable, optional
        Seconds that never go back.

    Examples
    --------
    >>> now = [0.0]
    >>> health = Health(40, 120, clock=lambda: now[0])
    >>> health.lag(500); now[0] = 121.0; health.turn(); health.stuck()
    'no record taken for 121 s at a lag of 500 records'
    """

    def __init__(
        self, turn_s: float, stalled_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._turn_s, self._stalled_s, self._clock = turn_s, stalled_s, clock
        self._last_turn = self._last_progress = clock()
        self._lag = 0
        self._assigned, self._stable, self._model, self._heard = 0, False, False, True

    def turn(self) -> None:
        """Tell that the loop made a turn."""
        self._last_turn = self._clock()

    def took(self, records: int) -> None:
        """Tell that records were processed and committed."""
        if records:
            self._last_progress = self._clock()

    def lag(self, records: int) -> None:
        """Tell how many records lie ahead, over all partitions; 0 while nobody can know."""
        if not records or not self._lag:  # nothing to do until now: the time counts from here
            self._last_progress = self._clock()
        self._lag = records

    def ready(self, assigned: int, model: bool, *, stable: bool = True, heard: bool = True) -> None:
        """Tell what the worker has to work with.

        Parameters
        ----------
        assigned : int
            Partitions held; none is fine for a stable member, others have them all.
        model : bool
            Whether a model is loaded.
        stable : bool
            Whether the group has taken this member in.
        heard : bool
            Whether the group hears of it still.
        """
        self._assigned, self._stable, self._model = assigned, stable, model
        self._heard = heard

    def stuck(self) -> str | None:
        """Say why the process should be started anew; None while it lives."""
        now = self._clock()
        idle, waited = now - self._last_turn, now - self._last_progress
        if idle > self._turn_s:
            return f"no turn of the loop for {idle:.0f} s"
        if self._lag and waited > self._stalled_s:
            return f"no record taken for {waited:.0f} s at a lag of {self._lag} records"
        return None

    def not_ready(self) -> str | None:
        """Say what is missing; None when the worker scores."""
        if not self._model:
            return "no model is loaded"
        if not self._assigned and not self._stable:
            return "no partition is assigned and the group has not taken this member in"
        if not self._heard:
            return (
                "the group has not heard of this worker for kafka.session_timeout_s: "
                "the brokers are away, or another process has the same kafka.instance"
            )
        return None
