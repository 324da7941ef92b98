"""The partitions that a worker holds: how they are taken over, looked after and let go."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import starmap

from stream_ad.errors import BrokerError, StateError
from stream_ad.machines import Machines
from stream_ad.pipeline import Pipeline
from stream_ad.service.presence import BY_THE_CLOCK, Presence
from stream_ad.service.shell import Shell
from stream_ad.state import MachineState
from stream_ad.transport.base import Told
from stream_ad.transport.kafka.ledger import Mark
from stream_ad.transport.kafka.membership import Group, Saved, default_partition
from stream_ad.transport.kafka.restore import StateReader
from stream_ad.transport.kafka.sink import KafkaSink

PATIENCE_S = 15.0  # beyond a transaction's time-out: brokers end it up to 10 s late


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

    def release(self, partitions: Iterable[int]) -> None:
        """Forget partitions; whatever of them was not committed somebody reads again."""
        gone = [partition for partition in partitions if partition in self._presence]
        for partition in gone:
            self._pipeline.release(partition)
            self._sink.release(partition)
            del self._presence[partition]
        self._home = {m: partition for m, partition in self._home.items() if partition not in gone}
        self._shell.metrics.forget(gone)

    def take_over(self, partitions: Iterable[int]) -> list[Told]:
        """Restore partitions and go to their positions; return what a reset closed.

        Raises
        ------
        StateError
            A state was made with other window settings, and is not to be replaced.
        BrokerError
            The state topic lacks a partition.
        Undelivered
            A predecessor's transaction stays open, or the brokers do not answer: try again.
        """
        wanted = sorted(partitions)
        began = time.monotonic()
        timeout_s = self._config.kafka.transaction_timeout_s + PATIENCE_S
        self._shell.log.info("assigned", partitions=wanted)
        # in this order: a state must not be older than the position it goes with
        saved = self._group.saved(wanted, timeout_s)
        self._shell.turn()
        records = self._states.read(wanted)
        starts = self._group.beginning([p for p in wanted if saved[p] is None])
        told = []
        for partition in wanted:
            known = saved[partition] or Saved(starts[partition], Mark())
            told += self._begin(partition, known, records[partition])
        seconds = time.monotonic() - began
        self._shell.metrics.restored(seconds)
        machines = sum(map(len, records.values()))
        self._shell.log.info(
            "restored", partitions=wanted, machines=machines, seconds=round(seconds, 3)
        )
        return told

    def _begin(self, partition: int, saved: Saved, records: Mapping[str, bytes]) -> list[Told]:
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
        mark = saved.mark
        if not mark.partitions:
            mark = replace(mark, partitions=self._group.size())
        self._sink.take_over(partition, mark)
        idle_s, now = self._config.windows.idle_s, time.monotonic()
        self._presence[partition] = Presence(machines, self._pipeline.rules, idle_s, now)
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
        rules = self._pipeline.rules
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
        choice = self._config.kafka.on_lost_position
        first, last = self._group.beginning(lost), self._group.end(lost)
        for partition, offset in lost.items():
            where = f"{self._config.kafka.topics.input}, partition {partition}"
            has = f"the broker has {first[partition]} to {last[partition]}"
            if choice == "fail":
                raise BrokerError(
                    f"{where}: the records from offset {offset} on are gone ({has}); "
                    "kafka.on_lost_position: earliest or latest goes on without them"
                )
            machines = self._pipeline.partitions[partition]
            if offset > last[partition]:  # another topic of the same name: its offsets begin anew
                for state in machines.states.values():
                    state.through = -1
                mark = self._sink.mark(partition)
                self._sink.say(partition, replace(mark, through=-1))
            machines.position = (first if choice == "earliest" else last)[partition]
            self._group.seek(partition, machines.position)
            self._shell.log.error(
                "records lost", where=where, position=offset, has=has, goes_on=machines.position
            )

    def look(self, now: float) -> list[Told]:
        """Return what the clock has to say of the machines: silent, returned, moved."""
        told = []
        for partition, presence in self._presence.items():
            at_end = self._group.lag(partition) == 0
            told += presence.look(now, at_end=at_end)
            if at_end:
                told += self._moved(partition, presence)
        return told

    def _moved(self, partition: int, presence: Presence) -> list[Told]:
        """Close incidents of machines that the default partitioner now sends elsewhere."""
        mark, size = self._sink.mark(partition), self._group.size()
        if mark.partitions >= size:
            return []
        old = mark.partitions
        self._shell.log.warning(
            "the input has more partitions: machines move and start fresh", before=old, now=size
        )
        self._sink.say(partition, replace(mark, partitions=size))

        def is_elsewhere(machine: str) -> bool:
            here = default_partition(machine, old) == partition
            return here and default_partition(machine, size) != partition

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

    def machines(self) -> Mapping[int, Machines]:
        """Return the machines by partition."""
        return self._pipeline.partitions
