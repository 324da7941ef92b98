"""The partitions that a worker holds: how they are taken over, looked after and let go."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import starmap
from typing import Any

from stream_ad.errors import BrokerError, StateError
from stream_ad.machines import Machines
from stream_ad.pipeline import Pipeline
from stream_ad.records import ActivationRecord
from stream_ad.service.counting import Counting
from stream_ad.service.presence import BY_THE_CLOCK, Presence
from stream_ad.service.shell import Shell
from stream_ad.state import MachineState
from stream_ad.transport.base import Told
from stream_ad.transport.kafka.ledger import Mark
from stream_ad.transport.kafka.membership import Group, Saved, default_partition
from stream_ad.transport.kafka.restore import StateReader
from stream_ad.transport.kafka.sink import KafkaSink
from stream_ad.transport.kafka.waits import ENDED_S

MOSTLY = 0.9  # of a partition's machines lie where the default partitioner sends them


class Holdings:
    """What belongs to the partitions held: machine states, positions, presence.

    Parameters
    ----------
    pipeline : Pipeline
    group : Group
    states : StateReader
    sink : KafkaSink
    shell : Shell
    reset_state : bool
        Whether states made with other window settings are replaced by fresh ones.

    Attributes
    ----------
    counting : Counting
        Which promotions count where.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        group: Group,
        states: StateReader,
        sink: KafkaSink,
        shell: Shell,
        *,
        reset_state: bool,
    ) -> None:
        self._config, self._pipeline, self._group = pipeline.config, pipeline, group
        self._states, self._sink, self._shell = states, sink, shell
        self._reset_state = reset_state
        self._presence: dict[int, Presence] = {}
        self._home: dict[str, int] = {}
        self._astray: set[str] = set()
        self._waiting: set[int] = set()
        self.counting = Counting(pipeline.lineup, shell, reset_state=reset_state)

    def release(self, partitions: Iterable[int]) -> None:
        """Forget partitions; whatever of them was not committed somebody reads again."""
        gone = [partition for partition in partitions if partition in self._presence]
        for partition in gone:
            self._pipeline.release(partition)
            self._sink.release(partition)
            self.counting.release(partition)
            del self._presence[partition]
        self._home = {m: partition for m, partition in self._home.items() if partition not in gone}
        self._shell.metrics.forget(gone)

    def take_over(self, partitions: Iterable[int]) -> list[Told]:
        """Restore partitions and go to their positions; return what a reset closed.

        Those where a promotion counts that is not loaded are left out, and paused.

        Raises
        ------
        StateError
            A state was made with other window settings, and is not to be replaced.
        Undelivered
            A predecessor's transaction stays open, or the brokers do not answer: try again.
        """
        wanted = sorted(partitions)
        began = time.monotonic()
        timeout_s = self._config.kafka.transaction_timeout_s + ENDED_S
        self._shell.log.info("assigned", partitions=wanted)
        # in this order: a state must not be older than the position it goes with
        saved = self._group.saved(wanted, timeout_s, self._shell.go_on)
        found = self._states.read(wanted)
        wanted = sorted(self.counting.take_over(found))
        self._hold(found.keys() - set(wanted))
        starts, ends = self._group.beginning(wanted), self._group.end(wanted)
        told = []
        for partition in wanted:
            known = saved[partition]
            if known is None:
                first, end = starts[partition], ends[partition]
                lost = bool(found[partition].states)  # they come with positions, in one commit
                at = self._instead(partition, first, first, end) if lost else first
                known = Saved(at, Mark())
            told += self._begin(partition, known, found[partition].states, ends[partition])
        self._group.pause(wanted, going_on=True)
        seconds = time.monotonic() - began
        self._shell.metrics.restored(seconds)
        machines = sum(len(found[partition].states) for partition in wanted)
        self._shell.log.info(
            "restored", partitions=wanted, machines=machines, seconds=round(seconds, 3)
        )
        return told

    def without_model(self, partitions: set[int]) -> set[int]:
        """Return the partitions that cannot be taken over yet: what counts there is not loaded.

        They are paused; the others go on.
        """
        waiting = self.counting.waiting(partitions)
        self._hold(waiting)
        return waiting

    def activate(self, polled: Mapping[int, Sequence[Any]]) -> dict[int, list[ActivationRecord]]:
        """Let all that is loaded count for the records polled; return what to commit with them."""
        # what was told of before is read again and closes no window
        firsts = {
            partition: max(records[0].offset, self._sink.mark(partition).through + 1)
            for partition, records in polled.items()
        }
        return self.counting.activate(firsts)

    def without_states(self, partitions: set[int]) -> set[int]:
        """Return the partitions that cannot be taken over yet: the state topic lacks them.

        They are paused; the others go on.
        """
        missing = set[int]()
        if partitions:  # reader and writer learn of new ones each in their own time
            missing = self._states.missing(partitions) | self._sink.missing(partitions)
        if missing != self._waiting:
            self._waiting = missing
            if missing:
                self._shell.log.warning(
                    "the state topic has fewer partitions than the input: these are not read",
                    partitions=sorted(missing),
                    advice="`stream-ad topics create` adds what is missing",
                )
        self._hold(missing)
        return missing

    def _hold(self, partitions: Collection[int]) -> None:
        """Read nothing of partitions for now."""
        for partition in partitions:
            self._group.seek(partition, 0)  # one without a position stops them all
        self._group.pause(partitions)

    def _begin(
        self, partition: int, saved: Saved, records: Mapping[str, bytes], end: int
    ) -> list[Told]:
        told: list[Told] = []
        states, begun = {}, []
        for machine, record in records.items():
            states[machine], closed = self._state(machine, record)
            if closed is not None:
                begun.append(machine)
                told += closed
        machines = self._pipeline.take_over(partition, states)
        machines.position = saved.offset
        machines.touched = dict.fromkeys(begun, BY_THE_CLOCK)
        if begun:
            self._shell.log.warning(
                "machine states given up, as asked: they begin anew",
                partition=partition,
                machines=len(begun),
                incidents_closed=len(told),
            )
        mark = saved.mark
        if max([mark.through, *(state.through for state in states.values())]) >= end:
            mark = self._forget_offsets(partition, machines, mark)
        if not mark.partitions:
            mark = replace(mark, partitions=self._group.size())
        self._sink.take_over(partition, mark)
        idle_s, now = self._config.windows.idle_s, time.monotonic()
        self._presence[partition] = Presence(machines, self._pipeline.rules_of, idle_s, now)
        self._group.seek(partition, saved.offset)
        return told

    def _state(self, machine: str, record: bytes) -> tuple[MachineState, list[Told] | None]:
        """Return a machine's state and, where it was begun anew, what that closed."""
        spec, shape = self._pipeline.spec, self._config.input.format
        try:
            return MachineState.from_bytes(record, spec, shape), None
        except StateError as error:
            if not self._reset_state:
                raise StateError(
                    f"{error} (machine {machine!r}, topic {self._config.kafka.topics.state}); "
                    "`stream-ad run --reset-state` begins anew"
                ) from None
        rules = self._pipeline.rules_of(machine)
        state, closed = MachineState.reset_from(record, machine, spec, shape, rules)
        return state, [*starmap(Told, closed)]

    def find_again(self, lost: Mapping[int, int]) -> None:
        """Go on where the settings say when the broker no longer has a position.

        Raises
        ------
        BrokerError
            ``kafka.on_lost_position`` is ``fail``.
        """
        if not lost:
            return
        first, last = self._group.beginning(lost), self._group.end(lost)
        for partition, offset in lost.items():
            at = self._instead(partition, offset, first[partition], last[partition])
            machines = self._pipeline.partitions[partition]
            if offset > last[partition]:
                mark = self._forget_offsets(partition, machines, self._sink.mark(partition))
                self._sink.say(partition, mark)
            machines.position = at
            self._group.seek(partition, at)

    def _instead(self, partition: int, offset: int, first: int, last: int) -> int:
        """Return where to go on instead of a position that is gone."""
        choice = self._config.kafka.on_lost_position
        where = f"{self._config.kafka.topics.input}, partition {partition}"
        has = f"the broker has {first} to {last}"
        if choice == "fail":
            raise BrokerError(
                f"{where}: the position is gone, or the records from offset {offset} on ({has}); "
                "kafka.on_lost_position: earliest or latest goes on without them"
            )
        at = first if choice == "earliest" else last
        self._shell.log.error("position lost", where=where, position=offset, has=has, goes_on=at)
        return at

    def _forget_offsets(self, partition: int, machines: Machines, mark: Mark) -> Mark:
        """Go on with the states although their offsets are of a topic that is no more."""
        self._shell.log.error(
            "the topic was made anew: machine states go on, offsets begin anew",
            topic=self._config.kafka.topics.input,
            partition=partition,
        )
        self.counting.begin_anew(partition)
        for state in machines.states.values():
            state.through = -1
        machines.touched = dict.fromkeys(machines.states, BY_THE_CLOCK)
        return replace(mark, through=-1)

    def look(self, now: float) -> list[Told]:
        """Return what the clock has to say of the machines: silent, returned, moved."""
        told = []
        for partition, presence in self._presence.items():
            at_end = self._group.lag(partition) == 0
            surely = partial(self._group.is_at_end, partition)
            told += presence.look(now, at_end=at_end, surely=surely)
            if at_end:
                told += self._moved(partition, presence)
        return told

    def _moved(self, partition: int, presence: Presence) -> list[Told]:
        """Close incidents of machines that the default partitioner now sends elsewhere."""
        mark, size = self._sink.mark(partition), self._group.size()
        if mark.partitions >= size:
            return []
        old = mark.partitions
        names = self._pipeline.partitions[partition].states
        here = sum(default_partition(name, old) == partition for name in names)
        self._shell.log.warning(
            "the input has more partitions: machines move and start fresh", before=old, now=size
        )
        self._sink.say(partition, replace(mark, partitions=size))
        if here < MOSTLY * len(names):  # their producer shares out keys in a way of its own
            return []

        def is_elsewhere(machine: str) -> bool:
            was_here = default_partition(machine, old) == partition
            return was_here and default_partition(machine, size) != partition

        return [*presence.moved(is_elsewhere)]

    def astray(self) -> set[str]:
        """Return the machines that were seen on two of the partitions held, warned of once."""
        for partition, machines in self._pipeline.partitions.items():
            for machine in machines.touched:
                home = self._home.setdefault(machine, partition)
                if home != partition and machine not in self._astray:
                    self._astray.add(machine)
                    self._shell.log.warning(
                        "machine_in_two_partitions",
                        machine=machine,
                        partitions=[home, partition],
                        advice="each half is scored apart: produce with the machine id as key",
                    )
        return self._astray

    def open_incidents(self) -> dict[str, str]:
        """Return the severity of every open incident that was told, by id."""
        return {
            incident.incident_id: incident.severity
            for state in self._pipeline.states()
            for incident in state.alerts.open.values()
            if incident.number
        }
