"""What a clock has to say about machines: silent ones, and those whose key moved away.

These are the only outputs not made by records. Both wait until a partition is read to its
end, for as long as a backlog is read nobody knows who is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import starmap

from stream_ad.alerting import Rules, close_all, close_silent, open_silent
from stream_ad.machines import Machines
from stream_ad.records import IncidentEvent
from stream_ad.state import MachineState
from stream_ad.transport.base import Told, Touched

Events = list[tuple[int, IncidentEvent]]
CHECK_S = 1.0
MOST_AT_ONCE = 1_000  # silences told in one transaction; the others follow
BY_THE_CLOCK = Touched(first=-1, closed=True)  # the state has to be saved with the event


class Presence:
    """The machines of one partition as a clock sees them.

    Parameters
    ----------
    machines : Machines
        Their states, read and changed in place; what was changed is marked as touched.
    rules_of : callable
        Machine to the rules of its group.
    idle_s : float or None
        A machine that sends nothing for so long is silent; None: nobody is.
    now : float
        When the partition was taken over: nobody is silent for longer than that.
    """

    def __init__(
        self,
        machines: Machines,
        rules_of: Callable[[str], Rules],
        idle_s: float | None,
        now: float,
    ) -> None:
        self._machines, self._rules_of, self._idle_s = machines, rules_of, idle_s
        self._heard = dict.fromkeys(machines.states, now)
        self._at_end: float | None = None  # since when the partition is read to its end
        self._next = now

    def look(
        self, now: float, *, at_end: bool, surely: Callable[[], bool] = lambda: True
    ) -> list[Told]:
        """Take note of the last batches' machines; open and close incidents of silence.

        Parameters
        ----------
        now : float
            Seconds of a clock that never goes back.
        at_end : bool
            Whether nothing more waits in the partition, as far as is known.
        surely : callable
            Asks whether that is so now; called about once a second.
        """
        if self._idle_s is None:
            return []
        heard = [*self._machines.touched]
        self._heard.update(dict.fromkeys(heard, now))
        told = [event for machine in heard for event in self._returned(machine)]
        if at_end and now >= self._next:
            self._next = now + CHECK_S
            at_end = surely()  # what was heard of the partition's end may be old
            if at_end:
                told += self._silent(now, self._idle_s)
        if not at_end:
            self._at_end = None
        return told

    def _silent(self, now: float, idle_s: float) -> list[Told]:
        if self._at_end is None:
            self._at_end = now
        if now - self._at_end < idle_s:
            return []
        told: list[Told] = []
        for machine, heard in self._heard.items():
            if len(told) == MOST_AT_ONCE:
                break
            newest = _newest(self._machines.states[machine])
            if now - heard >= idle_s and newest is not None:
                alerts = self._machines.states[machine].alerts
                events = open_silent(alerts, machine, newest, self._rules_of(machine))
                told.extend(self._marked(machine, events))
        return told

    def moved(self, is_elsewhere: Callable[[str], bool]) -> Iterator[Told]:
        """Close what is open of machines whose records go to another partition now.

        Their states are forgotten: the partition that has them starts anew.
        """
        for machine in [name for name in self._machines.states if is_elsewhere(name)]:
            state = self._machines.states.pop(machine)
            self._heard.pop(machine, None)
            self._machines.touched[machine] = BY_THE_CLOCK
            events = close_all(state.alerts, machine, "moved", self._rules_of(machine))
            yield from starmap(Told, events)

    def _returned(self, machine: str) -> list[Told]:
        state = self._machines.states[machine]
        if state.alerts.silence is None:
            return []
        newest = _newest(state)
        assert newest is not None  # silences are of machines that were heard of
        return self._marked(
            machine,
            close_silent(state.alerts, machine, newest, self._rules_of(machine)),
            always=True,
        )

    def _marked(self, machine: str, events: Events, *, always: bool = False) -> list[Told]:
        if events or always:
            self._machines.touched[machine] = BY_THE_CLOCK
        return [*starmap(Told, events)]


def _newest(state: MachineState) -> int | None:
    """Return the event time of a machine's newest reading, one that waits included."""
    gate = state.grid.gate
    if gate.newest is not None:
        return gate.newest
    return None if gate.waiting is None else gate.waiting.time
