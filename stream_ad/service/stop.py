"""The wish that a process ends, from a signal or from within."""

from __future__ import annotations

import os
import select
import signal
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """Asked to end where nothing is begun that has to be finished; passes ``except Exception``."""


class Stop:
    """Asked once: finish and end; asked again: end now.

    Attributes
    ----------
    asked : int
        How often.

    Examples
    --------
    >>> stop = Stop()
    >>> stop.wait(0)
    False
    >>> stop.ask()
    >>> stop.wait(60)
    True
    """

    def __init__(self) -> None:
        self.asked = 0
        self._at_once = False
        # A pipe, not a lock: the handler of a signal may interrupt whoever holds the lock.
        self._out, self._in = os.pipe()
        for end in (self._out, self._in):
            weakref.finalize(self, os.close, end)

    def ask(self) -> None:
        """Ask; safe in the handler of a signal and from any thread."""
        self.asked += 1
        if self.asked == 1:
            os.write(self._in, b".")

    def wait(self, seconds: float) -> bool:
        """Sleep, at most until asked; say whether that is so."""
        select.select([self._out], [], [], max(seconds, 0.0))
        return self.asked > 0

    def look(self) -> None:
        """Raise `Stopped` where asked."""
        if self.asked:
            raise Stopped

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let the signals break off the block with `Stopped`, also in the middle of a wait.

        For imports, and for constructors of clients that wait for brokers without a look at
        anything; what they leave behind ends with the process.
        """
        try:
            self._at_once = True
            self.look()
            yield
        finally:
            self._at_once = False

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT ask within the block; main thread only."""

        def ask(_: int, __: FrameType | None) -> None:
            self.ask()
            if self._at_once and self.asked == 1:
                raise Stopped

        before = {number: signal.signal(number, ask) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
