"""The straight path: records -> windows -> scores -> incidents.

One direction, one thread, no clock. A batch of records goes in, outputs come out, and the
only things that changed are the states of the machines that had records in it. How records
are cut into batches, and which worker holds which machine, changes no byte of the outputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import starmap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream_ad.alerting import (
    Mute,
    QualityCheck,
    Rules,
    WindowVerdict,
    follow_lines,
    step,
)
from stream_ad.config import Config
from stream_ad.description import Describe
from stream_ad.groups import Groups
from stream_ad.judged import Judged
from stream_ad.lineup import Lineup
from stream_ad.machines import Machines
from stream_ad.state import MachineState
from stream_ad.transport.base import Batch, Outputs, ScoreRow, Told
from stream_ad.versions import Removed, Version
from stream_ad.windows import Windows, WindowSpec, missing_share

if TYPE_CHECKING:
    from stream_ad.detector.line import AlarmLine

MOST_BYTES = 1 << 28  # of windows closed at a time


class Pipeline:
    """All machines of one stream, scored window by window.

    Parameters
    ----------
    config : Config
        Alarm rules, limits of missing cells, input format.
    spec : WindowSpec
        The grid.
    versions : sequence of Version
        Detectors in the order of their promotion; they count in every partition. A window is
        scored by those of its machine's group, and while there are none by those of ``default``.
        One that ends before any of them takes effect is counted (``before_model``; ``no_model``
        where there are none), not scored.
    states : mapping of str to MachineState, optional
        Machines taken over, of an input with one partition.
    keep : bool
        Whether ``judged`` is kept, for whoever learns from it.

    Attributes
    ----------
    partitions : dict of int to Machines
        The machines of each partition, as they stand after the last batch.
    lineup : Lineup
        The versions, and which of them count in which partition.
    groups : Groups
        Which machine belongs to which group.
    mute : Mute
        Which windows are scored and count for nothing else.
    counted : Counter of str
        What the last batches added to the counts of the machines, by reason.
    judged : list of Judged
        The windows that the last batches closed, impossible cells masked; if they are kept.
    """

    def __init__(
        self,
        config: Config,
        spec: WindowSpec,
        versions: Sequence[Version],
        states: Mapping[str, MachineState] | None = None,
        *,
        keep: bool = False,
        removed: Sequence[Removed] = (),
    ) -> None:
        self.config, self.spec, self.groups = config, spec, Groups(config)
        self.lineup = Lineup(self.groups, versions, removed)
        self.judged: list[Judged] = []
        self._keep = keep
        self.partitions: dict[int, Machines] = {}
        self.counted: Counter[str] = Counter()
        if states is not None:
            self.take_over(0, states)
        self._max_missing = config.windows.max_missing
        self._none_known = np.zeros(len(spec.sensors), bool)
        window_bytes = 4 * spec.length * len(spec.sensors)
        self._most_records = max(1, MOST_BYTES // (window_bytes * spec.overlap))
        self._rules = {
            name: Rules.of(self.groups.config(name).alarm, spec, name) for name in self.groups.names
        }
        self.mute = Mute(config, spec)

    def rules_of(self, machine: str) -> Rules:
        """Return how alarms of a machine become incidents."""
        return self._rules[self.groups.of(machine)]

    def times(self) -> Iterator[int]:
        """Yield the newest event time that each machine accepted, in ns."""
        for machines in self.partitions.values():
            yield from machines.times()

    def take_over(self, partition: int, states: Mapping[str, MachineState]) -> Machines:
        """Go on with the machines of a partition; a partition that is not taken over is new."""
        machines = Machines(self.spec, self.config.input.format, states)
        self.partitions[partition] = machines
        return machines

    def release(self, partition: int) -> None:
        """Forget the machines of a partition that somebody else goes on with."""
        self.partitions.pop(partition, None)
        self.lineup.release(partition)

    def settle(self) -> None:
        """Forget what the last batches touched: it is committed, or begun anew."""
        self.counted, self.judged = Counter(), []
        for machines in self.partitions.values():
            machines.touched = {}

    def states(self) -> Iterator[MachineState]:
        """Yield the states of the machines of all partitions."""
        for machines in self.partitions.values():
            yield from machines.states.values()

    def process(self, batches: Sequence[Batch]) -> Outputs:
        """Take batches, at most one of each partition, through the whole path.

        Parameters
        ----------
        batches : sequence of Batch

        Returns
        -------
        Outputs
            Per machine in order of window end; dead letters as they came.

        Raises
        ------
        ArtifactNotFound
            What scored a window in the run that is followed is there no more.
        """
        dead = [letter for batch in batches for letter in batch.dead]
        outputs = Outputs([], [], dead)
        self.settle()
        for piece in self._pieces(batches):
            windows, states, version = self._close(piece)
            if len(windows):
                judged = self._judge(windows, states, version)
                self._tell(judged, states, outputs)
                if self._keep:
                    self.judged.append(judged)
        for batch in batches:
            self._machines(batch.partition).position = batch.position
        return outputs

    def _pieces(self, batches: Sequence[Batch]) -> Iterator[Sequence[Batch]]:
        """Cut batches where each record could close many windows, so that memory is bounded."""
        if sum(len(batch.records) for batch in batches) <= self._most_records:
            yield batches
            return
        for batch in batches:
            for first in range(0, len(batch.records), self._most_records):
                rows = slice(first, first + self._most_records)
                yield [replace(batch, records=batch.records.take(rows))]

    def _tell(self, judged: Judged, states: Sequence[MachineState], outputs: Outputs) -> None:
        """Take judged windows through m of n; add what comes out."""
        for i, row in enumerate(judged.rows()):
            machine, start, v, scored, muted, drifted, raw, static, score, p = row
            state, incident = states[i], None
            if v < 0:
                self._count(state, "before_model" if self.lineup.serves(machine) else "no_model")
                continue
            self._count(state, "scored" if scored else "too_much_missing")
            if scored and muted:
                self._count(state, "muted")
            alarm, alerts = scored and not muted and (score > 1 or drifted), state.alerts
            # a quiet window need not be told; a muted one is neither quiet nor loud
            if not muted and alerts.hears(alarm, judged.findings[i]):
                result = step(alerts, self._verdict(judged, i), self.rules_of(machine))
                outputs.incidents.extend(starmap(Told, result.events))
                incident = result.incident_id
            if scored:
                end, number = start + self.spec.window_ns, self.lineup.versions[v].number
                outputs.scores.append(
                    ScoreRow(machine, start, end, score, p, alarm, static, raw, incident, number)
                )

    def _close(
        self, batches: Sequence[Batch]
    ) -> tuple[Windows, list[MachineState], NDArray[np.int64]]:
        """Return the windows that the batches closed, their machines' states, their versions."""
        parts = [Windows.empty(self.spec.length, len(self.spec.sensors))]
        states: list[MachineState] = []
        version = [np.empty(0, np.int64)]
        for batch in batches:
            machines = self._machines(batch.partition)
            closed = machines.close(batch.records)
            self.counted.update(machines.counted)
            parts.append(closed)
            states.extend(map(machines.states.__getitem__, closed.machine))
            end = closed.start + self.spec.window_ns
            version.append(self.lineup.active(batch.partition, closed.machine, end))
        windows = Windows.concat([part for part in parts if len(part)] or parts[:1])
        return windows, states, np.concatenate(version)

    def _machines(self, partition: int) -> Machines:
        known = self.partitions.get(partition)
        return self.take_over(partition, {}) if known is None else known

    def _count(self, state: MachineState, reason: str) -> None:
        state.counts[reason] += 1
        self.counted[reason] += 1

    def _judge(
        self, windows: Windows, states: Sequence[MachineState], version: NDArray[np.int64]
    ) -> Judged:
        """Check and score windows, each by the version in effect."""
        judged = Judged(windows, version, self.mute(windows))
        for v in np.unique(judged.version):
            rows = np.flatnonzero(judged.version == v)
            part = windows.take(rows)
            memory = [states[row].alerts.quality for row in rows.tolist()]
            muted = judged.muted[rows]
            # before any model nothing is expected to be there
            known = self._none_known if v < 0 else self.lineup.versions[v].detector.known
            quality = QualityCheck(self.spec, known, self._max_missing)
            clean, findings = quality(memory, part.start, part.values, muted)
            if v < 0:
                continue
            if self._keep and clean is not part.values:
                judged.mask(rows, clean)
            for row, finding in zip(rows.tolist(), findings, strict=True):
                judged.findings[row] = finding
            missing = missing_share(clean, known)
            judged.missing[rows] = missing
            usable = (missing <= self._max_missing) & (missing < 1)
            if usable.any():
                scored, values, judge = rows[usable], clean[usable], self.lineup.versions[v]
                self._score(judged, scored, values, judge)
                telling = self._follow(judged, scored, values, states, judge)
                if telling.any():
                    told = part.take(usable).take(telling)
                    described = Describe.many(
                        judge.detector, self.spec, replace(told, values=values[telling])
                    )
                    judged.describe.update(zip(scored[telling].tolist(), described, strict=True))
        return judged

    def _score(
        self,
        judged: Judged,
        rows: NDArray[np.int64],
        values: NDArray[np.float32],
        version: Version,
    ) -> None:
        start, machine = judged.windows.start[rows], judged.windows.machine[rows]
        raw = version.detector.score(values, start, machine).raw
        judged.scored[rows], judged.raw[rows] = True, raw
        judged.static_score[rows] = version.detector.line_.static_score(raw)

    def _follow(
        self,
        judged: Judged,
        rows: NDArray[np.int64],
        values: NDArray[np.float32],
        states: Sequence[MachineState],
        version: Version,
    ) -> NDArray[np.bool_]:
        """Hold scored windows against their machines' lines; return which may be told of."""
        alerts, muted = [states[row].alerts for row in rows.tolist()], judged.muted[rows]
        start, drift = judged.windows.start[rows], self.config.drift
        end, static = start + self.spec.window_ns, judged.static_score[rows]
        crossed = np.zeros(len(rows), bool)
        names = judged.windows.machine[rows].tolist()
        if (reference := version.reference) is not None:  # before a line begins the version
            far = self._static(reference, values, start, judged.windows.machine[rows])
            lines = [
                state.against(reference.key, anew=reference.accepts(name))
                for state, name in zip(alerts, names, strict=True)
            ]
            followed = follow_lines(lines, far, end, muted, reference.key, drift)
            judged.drifted[rows], crossed = followed.beyond, followed.crossed
        else:
            for state, name in zip(alerts, names, strict=True):
                state.judged_by(version.key, anew=version.accepts(name))
        lines = [state.line for state in alerts]
        charged = reference is None  # two accounts of the same drift, in two units, are too many
        followed = follow_lines(lines, static, end, muted, version.key, drift, charged=charged)
        judged.offset[rows] = followed.offset
        judged.drifted[rows] |= followed.beyond
        for i in followed.reported:
            self._count(states[rows[i]], "line_moved")
        line = version.detector.line_
        judged.p[rows] = line.p_value(judged.raw[rows] - followed.offset * _unit(line))
        return ((judged.score[rows] > 1) & ~muted) | followed.crossed | crossed

    def _static(
        self,
        version: Version,
        values: NDArray[np.float32],
        start: NDArray[np.int64],
        machine: NDArray[np.object_],
    ) -> NDArray[np.float64]:
        """Return what a version makes of windows (n,); NaN where it knows too little of one."""
        missing = missing_share(values, version.detector.known)
        usable = (missing <= self._max_missing) & (missing < 1)
        static = np.full(len(values), np.nan)
        if usable.any():
            raw = version.detector.score(values[usable], start[usable], machine[usable]).raw
            static[usable] = version.detector.line_.static_score(raw)
        return static

    def _verdict(self, judged: Judged, i: int) -> WindowVerdict:
        version, described = self.lineup.versions[judged.version[i]], judged.describe.get(i)
        start, line = int(judged.windows.start[i]), version.detector.line_
        static, offset = float(judged.static_score[i]), float(judged.offset[i])
        scored, score = bool(judged.scored[i]), static - offset
        return WindowVerdict(
            machine_id=judged.windows.machine[i],
            start=start,
            end=start + self.spec.window_ns,
            missing_share=float(judged.missing[i]),
            scored=scored,
            alarm=scored and score > 1,
            drifted=bool(judged.drifted[i]),
            raw=float(judged.raw[i]),
            score=score,
            static_score=static,
            p=float(judged.p[i]),
            line=line.line + offset * _unit(line),
            sensor_share=None if described is None else described.sensor_share,
            explain=described,
            accepted=version.accepts(judged.windows.machine[i]),
            quality=judged.findings[i],
            model_id=version.model_id,
            model_version=version.number,
        )


def _unit(line: AlarmLine) -> float:
    """Return the raw score that one unit of ``static_score`` stands for."""
    return line.line - line.median
