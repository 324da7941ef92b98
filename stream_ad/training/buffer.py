r"""What a group's detector learns from: a bounded sample of its recent windows.

::

    take -> waiting -- ripe, in no incident --> sample     (training.buffer_windows)
                    \- ripe, in an incident --> incidents  (training.labelled_windows)

A window waits until no incident that opens later can reach back to it. Where it then lies, it
stays; what it counts as, the quarantine is asked for each training, so that a label that comes
late counts as well. What is held follows from windows, incidents and labels: neither batches nor
the order between machines matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import TrainingConfig
from stream_ad.training.composition import compose
from stream_ad.training.history import MOST_BYTES
from stream_ad.training.quarantine import ANOMALY, FREE, NORMAL, Quarantine, Words
from stream_ad.training.sample import Sample, labelled_first, smallest
from stream_ad.training.slots import EMPTY, Rows, Slots
from stream_ad.windows import Windows, WindowSpec
from stream_ad.windows.spec import NEVER, NS

PLACES = WAITING, SAMPLED, APART = 1, 2, 3  # of a window
MOST_BYTES_APART = MOST_BYTES // 8
RUN = 32  # windows in a block, at most: long enough to show how long a machine remembers
BLOCKS = 64  # at least so many make a sample
SLACK = 8  # one part in so many beyond the limit is held before the excess is dropped
STEPS = (256, 4_096)  # windows taken at a time

TEACHES = {FREE: 0, NORMAL: 1, ANOMALY: -1}
_Y = np.array([TEACHES.get(word, 0) for word in range(ANOMALY + 1)], np.int8)


class Taken(NamedTuple):
    """How many windows became ripe: in no incident, and in one."""

    kept: int
    left_out: int


class TrainingSet(NamedTuple):
    """What a detector may learn from, by start and then by machine.

    Parameters
    ----------
    windows : Windows (n,)
    y : int8 array (n,)
        0 not labelled, +1 labelled normal, -1 labelled anomaly.
    lapsed : bool array (n,)
        Which lay in an incident that nobody labelled in time.
    """

    windows: Windows
    y: NDArray[np.int8]
    lapsed: NDArray[np.bool_]


class Buffer:
    """The windows of a machine group that a training may learn from.

    Memory is that of the windows held, an eighth more at times, and of the few that wait of each
    machine.

    Parameters
    ----------
    training : TrainingConfig
        ``buffer_windows``, ``labelled_windows`` and ``half_life_s`` are used.
    spec : WindowSpec
    reach_ns : int
        So long after its start a window is ripe: an incident that opens later does not cover it.
    quarantine : Quarantine
        Told of an incident before the windows that made it known are taken.
    windows : Windows, optional
        Those to begin with: the history, ripe and in no incident.

    Attributes
    ----------
    taken : int
        Windows so far that were ripe and in no incident, the history among them.
    first : int or None
        Start of the earliest window seen, in ns.

    Examples
    --------
    >>> from stream_ad.config import WindowsConfig
    >>> spec = WindowSpec.from_config(WindowsConfig(sensors=["a"], period_s=1, length=2))
    >>> start = np.arange(0, 20, 2) * NS
    >>> buffer = Buffer(TrainingConfig(), spec, 6 * NS, Quarantine(spec.window_ns, 0, {}))
    >>> buffer.take(Windows(np.full(10, "m", object), start, np.zeros((10, 2, 1), np.float32),
    ...                     np.full(10, -1)))
    Taken(kept=7, left_out=0)
    >>> len(buffer.training_set(now=20 * NS).windows)
    7
    """

    def __init__(
        self,
        training: TrainingConfig,
        spec: WindowSpec,
        reach_ns: int,
        quarantine: Quarantine,
        windows: Windows | None = None,
    ) -> None:
        cells = 4 * spec.length * len(spec.sensors)
        limit = min(training.buffer_windows, max(1, MOST_BYTES // cells))
        apart = min(training.labelled_windows, max(1, MOST_BYTES_APART // cells))
        half_life = None if training.half_life_s is None else round(training.half_life_s * NS)
        block_ns = spec.hop_ns * max(1, min(RUN, limit // BLOCKS))
        self.sample = Sample(limit, half_life, block_ns)
        self.apart = Sample(apart, half_life, block_ns)
        self.spec, self.quarantine = spec, quarantine
        self.taken = 0
        self.first: int | None = None
        self._reach_ns, self._step = reach_ns, min(max(limit // SLACK, STEPS[0]), STEPS[1])
        self._heard = quarantine.labels
        self.slots = Slots(spec.length, len(spec.sensors))
        self._tag = np.empty(0, np.uint64)  # of each machine, by number
        self._newest = np.empty(0, np.int64)  # start of its last window
        if windows is not None:
            self._begin(windows)

    def take(self, windows: Windows) -> Taken:
        """Take in windows that may teach, those of a machine in order of start."""
        if self.first is None and len(windows):
            self.first = int(windows.start.min())
        taken = [self._take(part) for part in self._steps(windows)]
        kept, left_out = sum(part.kept for part in taken), sum(part.left_out for part in taken)
        self.taken += kept
        return Taken(kept, left_out)

    def training_set(self, now: int) -> TrainingSet:
        """Return a copy of what may teach at a time.

        Parameters
        ----------
        now : int
            Event time in ns.
        """
        held, word = self.standing(now)
        rows = self.slots.ordered(held[np.isin(word, [*TEACHES])])
        words = np.zeros(len(self.slots.place), np.int8)
        words[held] = word
        lapsed = (words[rows] == FREE) & (self.slots.place[rows] == APART)
        return TrainingSet(self.slots.windows(rows), _Y[words[rows]], lapsed)

    def left_out(self, now: int) -> Windows:
        """Return a copy of the ripe windows of incidents that teach nothing at a time yet."""
        held, word = self.standing(now)
        return self.slots.windows(self.slots.ordered(held[~np.isin(word, [*TEACHES])]))

    def composition(self, now: int) -> dict[str, Any]:
        """Return what a training would learn from at a time, and what not and why: JSON values.

        As of `stream_ad.training.composition.compose`.
        """
        slots = self.slots
        rows, word = self.standing(now)
        return compose(
            slots.names[slots.machine[rows]],
            (now - slots.start[rows] - self.spec.window_ns) / NS,
            word,
            apart=slots.place[rows] == APART,
            waiting=len(slots.at(WAITING)),
        ) | {"limit": self.sample.limit, "limit_apart": self.apart.limit}

    def standing(self, now: int) -> tuple[Rows, Words]:
        """Return the rows of all ripe windows, and what each counts as at a time."""
        self.trim()
        slots = self.slots
        rows = np.flatnonzero((slots.place == SAMPLED) | (slots.place == APART))
        names = slots.names[slots.machine[rows]]
        return rows, self.quarantine.status(names, slots.start[rows], now)

    def normal_since(self, machine: str | None, since: int, now: int) -> int:
        """Return how many windows from a start on count as labelled normal at a time.

        Parameters
        ----------
        machine : str or None
            Whose; None for all.
        since, now : int
            Event times in ns.
        """
        rows, word = self.standing(now)
        mine = (word == NORMAL) & (self.slots.start[rows] >= since)
        if machine is not None:
            mine &= self.slots.names[self.slots.machine[rows]] == machine
        return int(mine.sum())

    def trim(self) -> None:
        """Drop what is beyond the limits."""
        self._trim(slack=0)

    def forget(self, now: int) -> None:
        """Let the quarantine forget the incidents that matter no more to what is held.

        For streams without end. A buffer that is built anew from the records needs them all.
        """
        unripe = _earliest(self.slots, self.slots.at(WAITING))
        self.quarantine.forget(now, unripe, self.earliest())

    def earliest(self) -> dict[str, int]:
        """Return the start of the earliest window held of each machine, in ns."""
        return _earliest(self.slots, np.flatnonzero(self.slots.place != EMPTY))

    @property
    def heard(self) -> bool:
        """Whether all labels known to the quarantine have told which windows go before others."""
        return self._heard == self.quarantine.labels

    def restore(self, windows: Windows, place: NDArray[np.int8], label: Words) -> None:
        """Hold windows again where they lay; ``label`` is what said which go before others."""
        rows = self._put(windows, WAITING)
        self.slots.place[rows], self.slots.label[rows] = place, label
        waits = place == WAITING
        np.maximum.at(self._newest, self.slots.machine[rows[waits]], windows.start[waits])
        self._trim(SLACK)

    def go_on(self, taken: int, first: int | None, *, heard: bool) -> None:
        """Count from where another one stood, whose windows were restored."""
        self.taken, self.first = taken, first
        self._heard = self.quarantine.labels if heard else -1

    # ------------------------------------------------------------------ how windows walk

    def _steps(self, windows: Windows) -> Iterator[Windows]:
        for first in range(0, len(windows), self._step):
            yield windows.take(slice(first, first + self._step))

    def _begin(self, history: Windows) -> None:
        for part in self._steps(history):
            self._put(part, SAMPLED)
            self._trim(SLACK)
        self.taken, self.first = len(history), int(history.start.min()) if len(history) else None

    def _take(self, windows: Windows) -> Taken:
        self._hear()
        slots, fresh = self.slots, self._put(windows, WAITING)
        np.maximum.at(self._newest, slots.machine[fresh], windows.start)
        waiting = slots.at(WAITING)
        latest = self._newest[slots.machine[waiting]] - self._reach_ns
        ripe = waiting[slots.start[waiting] <= latest]
        covered = self._covered(ripe, fresh)
        slots.place[ripe] = np.where(covered, APART, SAMPLED)
        self._trim(SLACK)
        left_out = int(covered.sum())
        return Taken(len(ripe) - left_out, left_out)

    def _put(self, windows: Windows, place: int) -> Rows:
        """Hold windows in a place, as they are."""
        number = self.slots.number(windows.machine)
        fresh = self.slots.names[len(self._tag) :]
        if len(fresh):
            tags = np.array([self.sample.tag(name) for name in fresh], np.uint64)
            self._tag = np.append(self._tag, tags)
            self._newest = np.append(self._newest, np.full(len(fresh), -NEVER))
        key = self.sample.keys(self._tag[number], windows.start)
        return self.slots.put(windows, number, key, place)

    def _covered(self, ripe: Rows, fresh: Rows) -> NDArray[np.bool_]:
        """Return which windows lie in an incident that was known when they became ripe.

        What was told since, of later windows of the same batch, does not count: with smaller
        batches it would not have been known.
        """
        slots, covered = self.slots, np.zeros(len(ripe), bool)
        for number, mine in self._in_quarantine(ripe):
            name, start = slots.names[number], slots.start[ripe[mine]]
            came = slots.start[fresh[slots.machine[fresh] == number]]
            at = np.append(came, self._newest[number])[
                np.searchsorted(came, start + self._reach_ns)
            ]
            covered[mine] = self.quarantine.covers(name, start, at)
            slots.label[ripe[mine]] = self.quarantine.labels_of(name, start, at)
        return covered

    def _in_quarantine(self, rows: Rows) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield the machines that have incidents, and which of these rows are theirs, by start."""
        machine = self.slots.machine[rows]
        for number in np.unique(machine).tolist():
            if self.slots.names[number] in self.quarantine:
                mine = np.flatnonzero(machine == number)
                yield number, mine[np.argsort(self.slots.start[rows[mine]])]

    def _hear(self) -> None:
        """Let new labels say which windows apart go before others, from now on.

        What the old ones would have dropped is dropped first, so that it does not matter whether
        there was occasion to drop anything.
        """
        if self._heard == self.quarantine.labels:
            return
        self.trim()
        rows = self.slots.at(APART)
        self.slots.label[rows] = 0
        for number, mine in self._in_quarantine(rows):
            name, start = self.slots.names[number], self.slots.start[rows[mine]]
            self.slots.label[rows[mine]] = self.quarantine.labels_of(name, start)
        self._heard = self.quarantine.labels

    def _trim(self, slack: int) -> None:
        """Drop what is beyond the limits, once it is more than a part of them."""
        slots = self.slots
        for place, sample in ((SAMPLED, self.sample), (APART, self.apart)):
            rows = slots.at(place)
            if len(rows) <= sample.limit + (sample.limit // slack if slack else 0):
                continue
            key, start, tag = slots.key[rows], slots.start[rows], self._tag[slots.machine[rows]]
            if place == SAMPLED:
                chosen = smallest(key, start, tag, sample.limit)
            else:
                chosen = labelled_first(key, start, tag, slots.label[rows], sample.limit)
            slots.place[rows[~chosen]] = EMPTY


def _earliest(slots: Slots, rows: Rows) -> dict[str, int]:
    """Return the first start of each machine."""
    first = np.full(len(slots.names), NEVER)
    np.minimum.at(first, slots.machine[rows], slots.start[rows])
    return {
        name: start
        for name, start in zip(slots.names, first.tolist(), strict=True)
        if start < NEVER
    }
