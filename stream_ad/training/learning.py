"""A replay that trains anew on its way: between the loop and the training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stream_ad.alerting import Rules
from stream_ad.config import Config
from stream_ad.config.groups import DEFAULT
from stream_ad.groups import Groups
from stream_ad.machines import Machines
from stream_ad.progress import Progress
from stream_ad.records import LabelRecord
from stream_ad.training.buffer import Buffer
from stream_ad.training.quarantine import Quarantine
from stream_ad.training.retraining import Keeper, Retraining
from stream_ad.training.stream_time import StreamTime
from stream_ad.training.usable import Usable
from stream_ad.transport.base import Source, Told
from stream_ad.versions import Version
from stream_ad.windows import Windows, WindowSpec
from stream_ad.windows.spec import NS

if TYPE_CHECKING:
    from stream_ad.judged import Judged

LEAST_STEP, MOST_STEP = 16, 4_096  # records between two looks at whether a training is due
USUAL_S = 14_400.0  # between two trainings, for how often to look where labels or drift are a cause
STEPS = 8  # looks between two trainings, about, where no record is missing


def buffer_of(
    config: Config, spec: WindowSpec, quarantine: dict[str, Any], history: Windows | None = None
) -> Buffer:
    """Return a buffer of a window grid.

    Parameters
    ----------
    config : Config
    spec : WindowSpec
    quarantine : dict
        What is known of incidents and labels: changed in place.
    history : Windows, optional
        What it begins with.
    """
    rules, quarantine_ns = Rules.of(config.alarm, spec), round(config.training.quarantine_s * NS)
    settle_ns = config.alarm.close_after * spec.hop_ns
    quarantined = Quarantine(spec.window_ns, quarantine_ns, quarantine, settle_ns)
    reach_ns = spec.window_ns + rules.memory_ns
    return Buffer(config.training, spec, reach_ns, quarantined, history)


class Learning:
    """The `stream_ad.stream.Learner` of a replay: a training for each machine group.

    Parameters
    ----------
    groups : Groups
    spec : WindowSpec
    keeper : callable
        Group to its `Keeper`.
    versions : sequence of Version
        That scored so far, in the order of their promotion.
    history : Windows
        What the first of them learned from: the buffers begin with them.
    record : dict, optional
        For each group as of `Retraining`.
    labels : iterable of LabelRecord, optional
        What operators said.
    progress : Progress, optional
    """

    def __init__(  # noqa: PLR0917 - what a training is made of
        self,
        groups: Groups,
        spec: WindowSpec,
        keeper: Callable[[str], Keeper],
        versions: Sequence[Version],
        history: Windows,
        record: dict[str, Any] | None = None,
        labels: Iterable[LabelRecord] = (),
        progress: Progress | None = None,
    ) -> None:
        self._groups, self._spec, self._versions = groups, spec, [*versions]
        self._since = min(version.effective_from for version in versions)
        configs = {name: groups.config(name) for name in groups.names}
        machines = len(set(history.machine))
        self.step = min(_step(config, spec, machines) for config in configs.values())
        record = {} if record is None else record
        self._time = StreamTime(record.setdefault(DEFAULT, {}).setdefault("time", {}))
        labels, rows = [*labels], groups.rows(history.machine)
        self.retrainings: dict[str, Retraining] = {}
        for name, config in configs.items():
            own = record.setdefault(name, {})
            known = history.take(rows.get(name, np.empty(0, np.int64)))
            buffer = buffer_of(config, spec, own.setdefault("quarantine", {}), known)
            champion = next((one for one in versions[::-1] if one.model_id == name), None)
            self.retrainings[name] = Retraining(
                config, spec, keeper(name), champion, buffer, own, progress, group=name
            )
        self.label(labels)

    @property
    def tried(self) -> list[dict[str, Any]]:
        """A record of each training of any group, in order of time."""
        return in_order(one.record for one in self.retrainings.values())

    def label(self, labels: Iterable[LabelRecord]) -> None:
        """Take in what operators said; each counts from its own time on."""
        for label in labels:
            self.retrainings[self._groups.of(label.machine_id)].label([label])

    def learn(self, judged: Sequence[Judged], told: Sequence[Told]) -> None:
        """Take in what was judged: what was scored and is in no incident may teach."""
        for one in told:
            self.retrainings[self._groups.of(one.event.machine_id)].tell([one.event])
        for part in judged:
            for name, rows in self._groups.rows(part.windows.machine).items():
                after = part.version[rows] >= 0  # the first version learned from what was before
                scored, muted = part.scored[rows] & after, part.muted[rows]
                left_out = {
                    "not_scored": int((after & ~scored).sum()),
                    "muted": int((scored & muted).sum()),
                }
                teaching = part.windows.take(rows[scored & ~muted])
                self.retrainings[name].take(teaching, left_out)

    def versions(self, times: Iterable[int]) -> Sequence[Version]:
        """Train anew what it is time for, once anything scores; see `Retraining.turn`."""
        newest = self._time.at(times)
        if newest is None or newest < self._since:
            return []
        turns = (retraining.turn(newest) for retraining in self.retrainings.values())
        made = [version for version in turns if version is not None]
        self._versions += made
        return made

    def go_on(self, source: Source, position: int, config: Config) -> None:
        """Build the buffers anew from the records before a position; the record is known."""
        machines = Machines(self._spec, config.input.format)
        may_teach = Usable(config, self._spec, machines)
        for batch in source.batches():
            records = batch.records.take(batch.records.offset < position)
            windows = may_teach(machines.close(records), self._versions)
            for name, rows in self._groups.rows(windows.machine).items():
                self.retrainings[name].buffer.take(windows.take(rows))
            if batch.position >= position:
                break


def in_order(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the trainings of the groups' records in order of time."""
    tried = [one for record in records for one in record.get("tried", ())]
    return sorted(tried, key=lambda one: str(one["at"]))


def _step(config: Config, spec: WindowSpec, machines: int) -> int:
    """Return after how many records to look whether a training is due."""
    if config.training.every_windows is None:
        every_ns = NS * (config.training.every_s or USUAL_S)
        cells = len(spec.sensors) if config.input.format == "long" else 1
        slot_ns = spec.hop_ns if config.input.format == "window" else spec.period_ns
        return round(max(LEAST_STEP, min(MOST_STEP, every_ns * machines * cells / slot_ns / STEPS)))
    # so many records make a window, or more where each holds one sensor only
    records = 1 if config.input.format == "window" else spec.hop
    return max(1, min(MOST_STEP, config.training.every_windows * records // STEPS))
