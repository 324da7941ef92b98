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
    Findings,
    Mute,
    QualityCheck,
    Rules,
    WindowVerdict,
    follow_lines,
    step,
)
from stream_ad.config import Config
from stream_ad.config.groups import DEFAULT
from stream_ad.description import Describe
from stream_ad.errors import ArtifactNotFound
from stream_ad.groups import Groups
from stream_ad.machines import Machines
from stream_ad.state import MachineState
from stream_ad.transport.base import Batch, Outputs, ScoreRow, Told
from stream_ad.versions import OfGroup, Removed, Version
from stream_ad.windows import Windows, WindowSpec, missing_share, rfc3339

if TYPE_CHECKING:
    from stream_ad.detector.line import AlarmLine

MOST_BYTES = 1 << 28  # of windows closed at a time


class Judged:
    """Closed windows, column by column; scores are read where ``scored``.

    Parameters
    ----------
    windows : Windows
        n of them.
    version : int64 array (n,)
        Index of the version in effect; -1 before any.
    muted : bool array (n,)
        Windows that are scored and count for nothing else.
    """

    def __init__(
        self, windows: Windows, version: NDArray[np.int64], muted: NDArray[np.bool_]
    ) -> None:
        n = len(windows)
        self.windows, self.version, self.muted = windows, version, muted
        self.missing, self.scored = np.ones(n), np.zeros(n, bool)
        self.raw, self.static_score, self.p = np.zeros(n), np.zeros(n), np.ones(n)
        self.offset, self.drifted = np.zeros(n), np.zeros(n, bool)
        self.findings: list[Findings | None] = [None] * n
        self.describe: dict[int, Describe] = {}  # windows that may describe an incident

    def mask(self, rows: NDArray[np.int64], clean: NDArray[np.float32]) -> None:
        """Put masked values in the place of those that came."""
        values = self.windows.values.copy()  # those that came are not ours
        values[rows] = clean
        self.windows = replace(self.windows, values=values)

    @property
    def score(self) -> NDArray[np.float64]:
        """The scores (n,) under the lines as they stood."""
        return self.static_score - self.offset

    def rows(self) -> Iterator[tuple[str, int, int, bool, bool, bool, float, float, float, float]]:
        """Yield machine, start, version; scored, muted, drifted; raw, static score, score, p."""
        return zip(
            self.windows.machine,
            self.windows.start.tolist(),
            self.version.tolist(),
            self.scored.tolist(),
            self.muted.tolist(),
            self.drifted.tolist(),
            self.raw.tolist(),
            self.static_score.tolist(),
            self.score.tolist(),
            self.p.tolist(),
            strict=True,
        )


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
    versions : list of Version
        In the order of their promotion.
    removed : sequence of Removed
        Versions that scored once and are there no more.
    counts_in : dict of int to sequence of int
        Places of the versions that count in a partition, of ``versions`` and, behind them, of
        ``removed``.
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
        self.config, self.spec, self.versions = config, spec, [*versions]
        self.removed = removed
        self.counts_in: dict[int, Sequence[int]] = {}
        self.judged: list[Judged] = []
        self._keep = keep
        self.partitions: dict[int, Machines] = {}
        self.counted: Counter[str] = Counter()
        if states is not None:
            self.take_over(0, states)
        self._max_missing = config.windows.max_missing
        window_bytes = 4 * spec.length * len(spec.sensors)
        self._most_records = max(1, MOST_BYTES // (window_bytes * spec.overlap))
        self.groups = Groups(config)
        self._rules = {
            name: Rules.of(self.groups.config(name).alarm, spec, name) for name in self.groups.names
        }
        self.mute = Mute(config, spec)
        self._expect_sensors()

    def offer(self, version: Version) -> None:
        """Take another version, which counts nowhere yet."""
        self.versions.append(version)
        self._expect_sensors()

    def activate(self, partition: int, upto: int) -> None:
        """Let the first ``upto`` versions count in a partition, from the next batch on."""
        self.counts_in[partition] = range(upto)

    def count_only(self, partition: int, promotions: Mapping[str, int] | None) -> None:
        """Let count in a partition what counted there in another run, from the next batch on.

        Parameters
        ----------
        partition : int
        promotions : mapping of str to int, or None
            The newest that counted, by group; of a group that is not there none did. None: all
            versions count.
        """
        if promotions is None:
            self.activate(partition, len(self.versions))
            return
        known: list[OfGroup] = [*self.versions, *self.removed]
        counted = [
            (one.promotion, place)
            for place, one in enumerate(known)
            if one.promotion <= promotions.get(one.model_id, 0)
        ]
        self.counts_in[partition] = [place for _, place in sorted(counted)]

    def adopt(self, version: Version) -> None:
        """Let another version score, in every partition, what ends when it takes effect or later.

        Parameters
        ----------
        version : Version
            It replaces those before it that take effect no earlier.
        """
        self.offer(version)
        self.counts_in = dict.fromkeys(self.partitions, range(len(self.versions)))

    def _expect_sensors(self) -> None:
        known = [version.detector.known for version in self.versions]
        # the last entry serves index -1: before any model nothing is expected to be there
        known.append(np.zeros(len(self.spec.sensors), bool))
        self._known = known
        self._quality = [QualityCheck(self.spec, k, self._max_missing) for k in known]

    def rules_of(self, machine: str) -> Rules:
        """Return how alarms of a machine become incidents."""
        return self._rules[self.groups.of(machine)]

    def active(
        self,
        machine: NDArray[np.object_],
        end: NDArray[np.int64],
        counting: Sequence[int] | None = None,
    ) -> NDArray[np.int64]:
        """Return which version scores each window; -1 for none.

        Parameters
        ----------
        machine : object array (n,)
        end : int64 array (n,)
            Window ends in ns.
        counting : sequence of int, optional
            As of ``counts_in``; all versions by default.
        """
        if counting is None:
            return self.groups.active(self.versions, machine, end)
        known: list[OfGroup] = [*self.versions, *self.removed]
        found = self.groups.active([known[place] for place in counting], machine, end)
        return np.array([*counting, -1], np.int64)[found]

    def newest(self) -> int | None:
        """Return the newest event time accepted; None before any."""
        times = [machines.newest() for machines in self.partitions.values()]
        return max((time for time in times if time is not None), default=None)

    def take_over(self, partition: int, states: Mapping[str, MachineState]) -> Machines:
        """Go on with the machines of a partition; a partition that is not taken over is new."""
        machines = Machines(self.spec, self.config.input.format, states)
        self.partitions[partition] = machines
        self.activate(partition, len(self.versions))
        return machines

    def release(self, partition: int) -> None:
        """Forget the machines of a partition that somebody else goes on with."""
        self.partitions.pop(partition, None)
        self.counts_in.pop(partition, None)

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
                self._count(state, "before_model" if self._scores(machine) else "no_model")
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
                end, number = start + self.spec.window_ns, self.versions[v].number
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
            end, counting = closed.start + self.spec.window_ns, self.counts_in[batch.partition]
            version.append(self.active(closed.machine, end, counting))
            self._expect_there(version[-1], closed.machine, end)
        windows = Windows.concat([part for part in parts if len(part)] or parts[:1])
        return windows, states, np.concatenate(version)

    def _expect_there(
        self, version: NDArray[np.int64], machine: NDArray[np.object_], end: NDArray[np.int64]
    ) -> None:
        for row in np.flatnonzero(version >= len(self.versions)):
            one = self.removed[version[row] - len(self.versions)]
            window = f"the window of {machine[row]} that ends at {rfc3339(int(end[row]))}"
            raise ArtifactNotFound(f"{window} was scored by {one.why}")

    def _machines(self, partition: int) -> Machines:
        known = self.partitions.get(partition)
        return self.take_over(partition, {}) if known is None else known

    def _scores(self, machine: str) -> bool:
        """Say whether there is any version for a machine."""
        names = {DEFAULT, self.groups.of(machine)}
        return any(version.model_id in names for version in self.versions)

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
            clean, findings = self._quality[v](memory, part.start, part.values, muted)
            if v < 0:
                continue
            if self._keep and clean is not part.values:
                judged.mask(rows, clean)
            for row, finding in zip(rows.tolist(), findings, strict=True):
                judged.findings[row] = finding
            missing = missing_share(clean, self._known[v])
            judged.missing[rows] = missing
            usable = (missing <= self._max_missing) & (missing < 1)
            if usable.any():
                scored, values, judge = rows[usable], clean[usable], self.versions[v]
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
        version, described = self.versions[judged.version[i]], judged.describe.get(i)
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
