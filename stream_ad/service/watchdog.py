"""Ends the process when its loop hangs, its supervisor is gone, or an end takes too long.

No call of the Kafka client inside a transaction has a time limit of its own, so the limit
stands outside: a thread that looks at the time of the last turn. Whoever is asked to end while
brokers are away gets `END_S`: what is not committed by then is read again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

EXIT_CODE = 70
LOOK_S = 0.25
END_S = 3.5  # with the last word, less than containers give to a service
LAST_WORD_S = 1.0


class Watchdog:
    """Calls ``exit(70)`` once no turn was finished for too long.

    Parameters
    ----------
    limit_s : float
        Longest time between two calls of `progress`.
    parent : int, optional
        Process id of the supervisor; the process ends when it is gone.
    stopping : callable, optional
        Whether the process was asked to end.
    say : callable, optional
        Takes the one line that explains the end.
    clock, parent_now, exit : callable, optional
        Seconds that never go back; who the parent is now; how to end without clean-up.

    Examples
    --------
    >>> now, ended = [0.0], []
    >>> dog = Watchdog(60, clock=lambda: now[0], exit=ended.append)
    >>> dog.look(); now[0] = 61.0; dog.look(); ended
    [70]
    """

    def __init__(
        self,
        limit_s: float,
        *,
        parent: int | None = None,
        stopping: Callable[[], bool] = lambda: False,
        say: Callable[[str], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        parent_now: Callable[[], int] = os.getppid,
        exit: Callable[[int], object] = os._exit,  # noqa: A002 - what it is
    ) -> None:
        self._limit, self._parent, self._say = limit_s, parent, say
        self._stopping, self._asked = stopping, float("inf")
        self._clock, self._parent_now, self._exit = clock, parent_now, exit
        self._last = clock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def progress(self) -> None:
        """Tell that the loop made a turn; cheap."""
        self._last = self._clock()

    def start(self) -> None:
        """Begin to watch."""
        self.progress()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> None:
        """Compare once; what the thread does every second."""
        now = self._clock()
        age = now - self._last
        if self._stopping():
            self._asked = min(self._asked, now)
        if self._parent is not None and self._parent_now() != self._parent:
            self._end("the supervisor is gone")
        elif age > self._limit:
            self._end(f"no turn for {age:.0f} s, the limit is {self._limit:.0f} s")
        elif now - self._asked > END_S:
            self._end(
                f"asked to end and not done after {END_S} s; what is not committed is read again"
            )

    def _watch(self) -> None:
        while not self._stopped.wait(min(LOOK_S, self._limit / 4)):
            self.look()

    def _end(self, why: str) -> None:
        # Whoever hangs may hold the lock of the log: the last word gets its own, bounded, time.
        last_word = threading.Thread(target=self._say, args=(why,), daemon=True)
        last_word.start()
        last_word.join(LAST_WORD_S)
        self._exit(EXIT_CODE)
