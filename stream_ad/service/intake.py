"""What a trainer takes in: incidents, labels, and windows as far as the service has scored them.

In this order each time: where the service has come to; what it and the operators have told by
then; the records before that place. So every incident is known before a window of it may teach,
as in a replay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

from stream_ad.config import Config
from stream_ad.errors import StateError
from stream_ad.groups import Groups
from stream_ad.machines import Machines, Records
from stream_ad.records import IncidentEvent, LabelRecord
from stream_ad.service.readiness import insistently
from stream_ad.service.shell import Shell
from stream_ad.state import MachineState
from stream_ad.training.stream_time import StreamTime
from stream_ad.training.usable import Usable
from stream_ad.transport.kafka.alerts import Alerts
from stream_ad.transport.kafka.clients import reader
from stream_ad.transport.kafka.following import Ends, Follower, Rows, patience_s
from stream_ad.transport.kafka.incoming import Incoming
from stream_ad.transport.kafka.labels import Labels, TrainRequest
from stream_ad.versions import Version
from stream_ad.windows import Windows, WindowSpec

MOST_BYTES = 1 << 28  # of windows closed at a time
STATE = 1  # of the form that `Intake.state` has
DAMAGE = ValueError, KeyError, TypeError, AttributeError


class Pupil(Protocol):
    """Learns from what is taken in."""

    def take(self, windows: Windows, left_out: Mapping[str, int] | None = None) -> None:
        """Take in windows that may teach; how many may not, by reason."""
        ...

    def tell(self, events: Sequence[IncidentEvent]) -> None:
        """Take in what was told of incidents."""
        ...

    def label(self, labels: Sequence[LabelRecord]) -> None:
        """Take in what operators said of incidents."""
        ...

    def ask(self, who: str) -> None:
        """Take in that somebody wants a training."""
        ...


class Intake:
    """Follows the topics of a service.

    Parameters
    ----------
    config : Config
    spec : WindowSpec
    groups : Groups
    shell : Shell
    state : dict, optional
        Where another one stood: its `state`.

    Attributes
    ----------
    newest : int or None
        Newest event time accepted so far, in ns.
    records : int
        Taken in so far.
    lag : int
        Records that the service has processed and this one has not.

    Raises
    ------
    StateError
        The state was made with other window settings, or is damaged.
    """

    def __init__(
        self,
        config: Config,
        spec: WindowSpec,
        groups: Groups,
        shell: Shell,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._config, self._spec, self._groups, self._shell = config, spec, groups, shell
        self.newest: int | None = None
        self._time = StreamTime({})
        self.records = self.lag = 0
        self._asked = 0  # requests before this offset were handed over
        self._incoming = Incoming(config, spec)
        self._partitions: dict[int, tuple[Machines, Usable]] = {}
        known = self._restored(state) if state is not None else {}
        kafka, warn = config.kafka, shell.log.warning
        assert kafka.topics.input is not None
        self._ends = insistently(lambda: Ends(kafka), "asking for positions", config, shell)
        self._input = self._follower(kafka.topics.input, known, self._lost)
        self._alerts = Alerts(self._follower(kafka.topics.alerts, known), warn)
        # all labels each time: there are few, and one that waits for its time must be at hand
        self._labels = Labels(self._follower(kafka.topics.labels, {}, self._forget_asked), warn)
        window_bytes = 4 * spec.length * len(spec.sensors)
        self._most_records = max(1, MOST_BYTES // (window_bytes * spec.overlap))

    def follow(
        self,
        pupils: Mapping[str, Pupil],
        versions: Sequence[Version],
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        """Take in all that may be taken in now.

        Parameters
        ----------
        pupils : mapping of str to Pupil
            Of each machine group.
        versions : sequence of Version
            Those that score, of all groups. Without any nothing is scored and no incident can
            come: then all records that there are may be taken in.
        rest : callable, optional
            Called now and then, when all that was handed over is in `state`.

        Raises
        ------
        Undelivered
            The brokers do not answer: another call goes on.
        """
        partitions = self._input.partitions()
        upto = self._input.ends(partitions)
        self._input.rewind(upto)
        if versions:
            processed = self._ends.processed(partitions)
            upto = {p: min(end, processed[p]) for p, end in upto.items() if p in processed}
        for events in self._alerts.read(self._told(self._alerts.follower)):
            for event in events:
                pupils[self._groups.of(event.machine_id)].tell([event])
        for offset, said in self._labels.read(self._told(self._labels.follower)):
            self._hand_over(offset, said, pupils)
        for rows in self._input.read(upto):
            self._take(rows, pupils, versions)
            behind = (end - self._input.positions[p] for p, end in upto.items())
            self.lag = sum(max(0, records) for records in behind)
            rest()

    def state(self) -> dict[str, Any]:
        """Return where it stands, as JSON values: what it handed over is before that."""
        followers = (self._input, self._alerts.follower)
        return {
            "form": STATE,
            "windows": self._spec.digest(),
            "newest": self.newest,
            "asked": self._asked,
            "positions": {one.topic: _keyed(one.positions) for one in followers},
            "machines": {
                str(partition): {name: record.decode() for name, record in held.records.items()}
                for partition, (held, _) in self._partitions.items()
            },
        }

    def close(self) -> None:
        """End the clients."""
        for one in (self._input, self._alerts.follower, self._labels.follower, self._ends):
            one.close()

    # ------------------------------------------------------------------ topics

    def _follower(
        self,
        topic: str,
        known: Mapping[str, Mapping[int, int]],
        lost: Callable[[int, int, int], None] | None = None,
    ) -> Follower:
        kafka, shell = self._config.kafka, self._shell
        consumer = insistently(
            lambda: reader(kafka), f"following topic {topic}", self._config, shell
        )
        return Follower(
            consumer,
            topic,
            known.get(topic),
            longest_s=patience_s(kafka),
            turn=shell.go_on,
            lost=lost or (lambda *_: None),  # what is told twice says nothing new
        )

    def _told(self, follower: Follower) -> dict[int, int]:
        """Return how far a topic has to be read so that nothing is missed that was told by now."""
        ends = self._ends.of(follower.topic, follower.partitions())
        follower.rewind(ends)
        return ends

    def _lost(self, partition: int, before: int, now: int) -> None:
        """Begin a partition anew: what lies between is not learned from."""
        self._shell.log.warning(
            "records are gone that the trainer has not read: it goes on without them",
            topic=self._input.topic,
            partition=partition,
            position=before,
            goes_on=now,
        )
        self._partitions.pop(partition, None)

    def _forget_asked(self, *_: int) -> None:
        self._asked = 0

    # ------------------------------------------------------------------ what comes in

    def _hand_over(
        self, offset: int, said: LabelRecord | TrainRequest, pupils: Mapping[str, Pupil]
    ) -> None:
        if isinstance(said, LabelRecord):
            pupils[self._groups.of(said.machine_id)].label([said])
        elif offset >= self._asked:
            self._asked = offset + 1
            if said.machine_group in pupils:
                pupils[said.machine_group].ask(said.who)

    def _take(self, rows: Rows, pupils: Mapping[str, Pupil], versions: Sequence[Version]) -> None:
        for partition, part in rows.items():
            machines, usable = self._held(partition)
            last, known = part[-1].offset, machines.states
            # what cannot be used is told by the workers
            batch = self._incoming.batch(partition, part, last + 1, through=last)
            batch = self._incoming.within_limit(batch, part, known, len(known), through=last)
            self.records += len(part)
            for records in self._pieces(batch.records):
                self._teach(machines.close(records), usable, pupils, versions)
            machines.touched = {}
        held = (machines.times() for machines, _ in self._partitions.values())
        self.newest = self._time.at(chain.from_iterable(held))

    def _teach(
        self,
        windows: Windows,
        usable: Usable,
        pupils: Mapping[str, Pupil],
        versions: Sequence[Version],
    ) -> None:
        for name, own in self._groups.rows(windows.machine).items():
            for part, scored_by in self._by_what_scored(windows.take(own), versions):
                usable.left_out = Counter()
                pupils[name].take(usable(part, scored_by), usable.left_out)

    def _by_what_scored(
        self, windows: Windows, versions: Sequence[Version]
    ) -> Iterator[tuple[Windows, Sequence[Version]]]:
        """Yield the windows that came before anything scored, then the others.

        The former are history, as in a cold start, also for a trainer that begins anew later.
        """
        end = windows.start + self._spec.window_ns
        scored = self._groups.active(versions, windows.machine, end) >= 0
        for part, by in ((windows.take(~scored), ()), (windows.take(scored), versions)):
            if len(part):
                yield part, by

    def _pieces(self, records: Records) -> Iterator[Records]:
        """Cut records where each could close many windows, so that memory is bounded."""
        for first in range(0, len(records), self._most_records):
            yield records.take(slice(first, first + self._most_records))

    def _held(
        self, partition: int, states: Mapping[str, MachineState] | None = None
    ) -> tuple[Machines, Usable]:
        held = self._partitions.get(partition)
        if held is None:
            machines = Machines(self._spec, self._config.input.format, states)
            held = machines, Usable(self._config, self._spec, machines)
            self._partitions[partition] = held
        return held

    # ------------------------------------------------------------------ going on

    def _restored(self, state: Mapping[str, Any]) -> dict[str, dict[int, int]]:
        """Take over the machines; return the positions by topic."""
        spec, shape = self._spec, self._config.input.format
        try:
            if (state["form"], state["windows"]) != (STATE, spec.digest()):
                raise StateError("it was made with other window settings, or by another version")
            self.newest, self._asked = state["newest"], state["asked"]
            self._time.record["now"] = self.newest
            for partition, machines in state["machines"].items():
                states = {
                    name: MachineState.from_bytes(record.encode(), spec, shape)
                    for name, record in machines.items()
                }
                self._held(int(partition), states)
            return {
                topic: {int(partition): int(at) for partition, at in positions.items()}
                for topic, positions in state["positions"].items()
            }
        except DAMAGE as error:
            raise StateError(f"it is damaged: {type(error).__name__}: {error}") from error


def _keyed(positions: Mapping[int, int]) -> dict[str, int]:
    return {str(partition): at for partition, at in positions.items()}
