"""What a person has to hear of the records besides the counts: what came of them is nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from structlog.stdlib import BoundLogger

from stream_ad.transport.base import DeadLetter
from stream_ad.windows.spec import rfc3339

LETTERS_S = 10.0  # least time between two lines about dead letters
MORE = 10  # times as many windows before the model are worth another line


class Remarks:
    """Says now and then which records and windows came to nothing.

    Parameters
    ----------
    log : BoundLogger
    topic : str
        That is read.
    history_ends : int
        Until when the first detector learned, in ns.
    clock : callable, optional
        Seconds that never go back.
    """

    def __init__(
        self,
        log: BoundLogger,
        topic: str,
        history_ends: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._topic, self._clock = log, topic, clock
        self._history_ends = history_ends
        self._before = self._told_before = 0
        self._letters, self._next = 0, float("-inf")

    def committed(
        self, dead: Sequence[DeadLetter], counted: Mapping[str, int], newest: Iterable[int | None]
    ) -> None:
        """Take what a transaction held.

        Parameters
        ----------
        dead : sequence of DeadLetter
        counted : mapping of str to int
            Windows by reason, ``before_model`` among them.
        newest : iterable of int or None
            Newest event time in ns of each partition that had records.
        """
        self._letters += len(dead)
        if dead and self._clock() >= self._next:
            self._tell_of(dead[-1])
        self._before += counted.get("before_model", 0)
        if self._before >= max(1, MORE * self._told_before):
            self._tell_of_history(max((time for time in newest if time is not None), default=None))

    def _tell_of(self, letter: DeadLetter) -> None:
        self._log.warning(
            "dead letter: a record could not be used",
            cause=f"{letter.error_class}: {letter.error_message}",
            topic=self._topic,
            partition=letter.partition,
            offset=letter.offset,
            since_last_told=self._letters,
        )
        self._letters, self._next = 0, self._clock() + LETTERS_S

    def _tell_of_history(self, newest: int | None) -> None:
        self._log.warning(
            "windows are not scored: the history of the detector ends later than they do",
            windows=self._before,
            newest_record=None if newest is None else rfc3339(newest),
            history_ends=rfc3339(self._history_ends),
            advice="only what is newer is scored; `stream-ad train --train-until` learns less",
        )
        self._told_before = self._before
