"""The time of a stream of many machines, which one wrong clock does not move."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stream_ad.alerting.drift import DAY_NS

LEAP_NS = DAY_NS


class StreamTime:
    """Tells what time it is from the newest event times of the machines.

    It is the newest of them. But when one machine is more than a day ahead of all others, it is
    not followed until a second one is so too, or until it has gone on for a day while the others
    stood still: then they rest, and its clock is right. Of several wrong clocks the last but one
    counts; of less than a day no clock is suspected.

    Parameters
    ----------
    record : dict
        What is known so far, as JSON values: changed in place, for a checkpoint.

    Examples
    --------
    >>> time = StreamTime({})
    >>> time.at([10, 20]), time.at([30, 400 * DAY_NS])
    (20, 30)
    >>> time.at([400 * DAY_NS, 400 * DAY_NS + 1])
    34560000000000001
    """

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record

    def at(self, times: Iterable[int]) -> int | None:
        """Return the time of the stream; None before there is any.

        Parameters
        ----------
        times : iterable of int
            The newest event time of each machine in ns.
        """
        ordered = sorted(times)
        if not ordered:
            return self._now
        now = ordered[(len(ordered) - 1) // 2] if self._now is None else self._now
        now = _followed(now, ordered)
        if ahead := [time for time in ordered if time > now]:
            if len(ahead) > 1 or len(ordered) == 1:
                now = _followed(ahead[-2:][0], ahead)
            elif self._alone_for(ahead[0], now) >= LEAP_NS:
                now = ahead[0]
        if not ahead or now >= ahead[0]:
            self.record.pop("ahead", None)
        self.record["now"] = now
        return now

    @property
    def _now(self) -> int | None:
        now: int | None = self.record.get("now")
        return now

    def _alone_for(self, time: int, now: int) -> int:
        """Return how long a machine has gone on ahead while the others stood still, in ns."""
        began, stood = self.record.get("ahead", (time, now))
        if stood != now:
            began = time
        self.record["ahead"] = [began, now]
        return int(time - began)


def _followed(now: int, ordered: Iterable[int]) -> int:
    """Go on from a time to each that is near enough; they ascend."""
    for time in ordered:
        if now < time <= now + LEAP_NS:
            now = time
    return now
