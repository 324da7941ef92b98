"""Which of several trainers works: the one that holds the models topic's only partition.

They are a consumer group of their own. Each takes part in the election in a thread, so that a
training of hours neither loses it nor keeps the others waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from stream_ad.transport.kafka.announcements import PARTITION
from stream_ad.transport.kafka.membership import Group

FRESH_S = 10.0  # to hear of the group again


class NotLeading(Exception):
    """Another trainer works now, or may."""


class Leadership:
    """Takes part in the election from construction until `close`.

    Parameters
    ----------
    make : callable
        Returns a member of the trainers' group that is not subscribed; called in the thread.
    topic : str
        Of the models.
    session_s : float
        Who is not heard for so long leads no more.

    Notes
    -----
    Whoever was displaced may not know it yet: what counts in the end is that brokers refuse its
    announcements (`Announcer`) and the registry its promotion, once another one was made.
    """

    def __init__(self, make: Callable[[], Any], topic: str, session_s: float) -> None:
        self._make, self._topic, self._session_s = make, topic, session_s
        self._term, self._leads, self._looks = 0, False, 0
        self._error: BaseException | None = None
        self._takes_part = True
        self._over, self._looked = threading.Event(), threading.Condition()
        self._thread = threading.Thread(target=self._run, name="election", daemon=True)
        self._thread.start()

    @property
    def term(self) -> int | None:
        """Number of the term in which this trainer leads, from 1; None while it does not.

        Raises
        ------
        BrokerError, KafkaError
            What ended its part in the election.
        """
        if self._error is not None:
            raise self._error
        return self._term if self._leads else None

    def require(self, term: int) -> None:
        """Make sure, by a fresh look, that a term still lasts.

        Raises
        ------
        NotLeading
            It does not, or the brokers do not say.
        """
        with self._looked:
            wanted = self._looks + 2  # the look that goes on now may have begun before
            fresh = self._looked.wait_for(
                lambda: self._looks >= wanted or not self._takes_part, FRESH_S
            )
        if not fresh:
            raise NotLeading("the brokers do not say which trainer leads")
        if self.term != term:
            raise NotLeading("another trainer leads by now")

    def close(self) -> None:
        """Leave the group: another one may lead at once."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            group = Group(self._make, self._topic, self._session_s)
            try:
                while not self._over.is_set():
                    self._look(group)
            finally:
                group.close()
        except BaseException as error:  # handed to whoever asks
            self._error = error
        finally:
            self._leads = self._takes_part = False
            self._note()

    def _look(self, group: Group) -> None:
        polled = group.poll()
        held, keeps = PARTITION in group.held, self._leads and PARTITION not in polled.gone
        if polled.stable and held:
            group.seek(PARTITION, 0)  # without a position every poll fails
            group.pause([PARTITION])  # its records are for others
            leads = group.is_heard()
        else:
            leads = held and keeps  # a rebalance goes on that has not taken it
        self._term += leads and not keeps
        self._leads = leads
        self._note()

    def _note(self) -> None:
        with self._looked:
            self._looks += 1
            self._looked.notify_all()
