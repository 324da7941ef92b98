"""Refits of a replay: after so many scored windows the detector is fitted anew.

In stream time and on the scoring path: which windows a refit learns from, and which windows it
scores, follows from the order of the records alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stream_ad.alerting import Mute, QualityCheck, Rules
from stream_ad.config import Config
from stream_ad.errors import ModelError, NotEnoughHistory
from stream_ad.machines import Machines
from stream_ad.progress import Progress, Silence
from stream_ad.training.buffer import NONE, Buffer, Quarantine
from stream_ad.training.fit import train
from stream_ad.training.history import History, most_windows
from stream_ad.transport.base import Source
from stream_ad.versions import Version, active
from stream_ad.windows import Windows, WindowSpec, missing_share, rfc3339

if TYPE_CHECKING:
    from stream_ad.detector import Detector
    from stream_ad.pipeline import Judged

MOST_STEP = 4_096  # records between two looks at whether a refit is due
STEPS = 8  # looks between two refits, about, where no record is missing


class Keep(Protocol):
    """Makes a version of a detector."""

    def __call__(self, detector: Detector, number: int, since: int, reason: str) -> Version:
        """Return the version of that number; it scores what ends at ``since`` or later."""
        ...


def in_memory(detector: Detector, number: int, since: int, reason: str) -> Version:
    """Make a version that lies nowhere."""
    detector.card |= {"version": number, "effective_from": since, "promoted": reason}
    return Version(detector, number, since)


class Refits:
    """Fits the configured detector anew, a `stream_ad.stream.Learner`.

    Parameters
    ----------
    config : Config
        ``training.every_windows`` is not null.
    spec : WindowSpec
    first : Version
        The version before any refit: drift is judged by it, too.
    history : Windows
        What it learned from: the buffer begins with them.
    keep : callable, optional
        Where versions go.
    record : dict, optional
        What is known of refits so far, as JSON values: changed in place, for a checkpoint.
    progress : Progress, optional

    Attributes
    ----------
    record : dict
        ``tried``: a record for each refit, with its reason where it failed; ``left_out``: windows
        that no refit may learn from, by reason; ``since``: scored windows since the last one;
        ``added``: windows that the last version did not learn from; ``quarantine``: spans of
        incidents by machine.
    """

    def __init__(
        self,
        config: Config,
        spec: WindowSpec,
        first: Version,
        history: Windows,
        *,
        keep: Keep = in_memory,
        record: dict[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> None:
        assert config.training.every_windows is not None
        self._every = config.training.every_windows
        # so many records make a window, or more where each holds one sensor only
        records = 1 if config.input.format == "window" else spec.hop
        self.step = max(1, min(MOST_STEP, self._every * records // STEPS))
        self._config, self._spec, self._keep = config, spec, keep
        self._progress = progress or Silence()
        self._first, self._number, self._from = first, first.number, first.effective_from
        self.record: dict[str, Any] = {} if record is None else record
        self.record.setdefault("tried", [])
        self.record.setdefault("left_out", {"incident": 0, "muted": 0, "not_scored": 0})
        self.record.setdefault("since", 0)
        self.record.setdefault("added", 0)
        self._quarantine = Quarantine(spec.window_ns, self.record.setdefault("quarantine", {}))
        reach_ns = spec.window_ns + Rules.of(config.alarm, spec).memory_ns
        limit = most_windows(config, spec)
        self._buffer = Buffer(limit, reach_ns, self._quarantine, history)
        self._full = limit

    def learn(self, judged: Sequence[Judged]) -> None:
        """Take in what was judged: what was scored and is in no incident may teach."""
        for part in judged:
            after = part.version >= 0  # what the first version learned from is there already
            scored, muted = part.scored & after, part.muted & after
            left_out = self.record["left_out"]
            left_out["not_scored"] += int((after & ~scored).sum())
            left_out["muted"] += int((scored & muted).sum())
            self.record["since"] += int(scored.sum())
            self._note(part)
            taken = self._buffer.take(part.windows.take(scored & ~muted))
            left_out["incident"] += taken.left_out
            self.record["added"] += taken.kept

    def _note(self, part: Judged) -> None:
        rows = np.flatnonzero(part.since != NONE)
        machine, start = part.windows.machine[rows], part.windows.start[rows]
        for name in dict.fromkeys(machine.tolist()):
            mine = machine == name
            self._quarantine.note(name, start[mine], part.since[rows][mine])

    def version(self, newest: int | None) -> Version | None:
        """Fit anew if it is time.

        Parameters
        ----------
        newest : int or None
            The newest event time accepted, in ns.

        Returns
        -------
        Version or None
            None as well where a refit failed: everything stays as it was, and the record says why.
        """
        if self.record["since"] < self._every or newest is None:
            return None
        self.record["since"] %= self._every
        said: dict[str, Any] = {"at": rfc3339(newest), "left_out": dict(self.record["left_out"])}
        self.record["tried"].append(said)
        try:
            return self._fit(newest, said)
        except (NotEnoughHistory, ModelError) as error:
            said["failed"] = str(error)
            self._progress.note(f"no refit at {said['at']}: {error}")
            return None

    def _fit(self, newest: int, said: dict[str, Any]) -> Version:
        windows = self._buffer.newest()
        if newest < self._from:  # as in a file of one machine after another
            raise NotEnoughHistory("no event time is later than where the last version begins")
        if windows is None or not self.record["added"]:
            raise NotEnoughHistory("nothing to learn from that the last version did not know")
        if len(windows) == self._full:
            self._quarantine.forget(int(windows.start.min()))
        detector = train(History(windows, newest), self._config, self._spec, Silence())
        first, last = int(windows.start.min()), int(windows.start.max()) + self._spec.window_ns
        number, since = self._number + 1, newest + 1
        said |= {
            "version": number,
            "effective_from": rfc3339(since),
            "windows": len(windows),
            "from": rfc3339(first),
            "to": rfc3339(last),
        }
        version = self._keep(detector, number, since, reason(number - 1, said))
        version = replace(version, reference=self._first)
        self._number, self._from, self.record["added"] = number, since, 0
        self._progress.note(reason(number - 1, said))
        return version

    def go_on(self, source: Source, position: int, versions: Sequence[Version]) -> None:
        """Build the buffer anew from the records before a position; the record is known.

        Parameters
        ----------
        source : Source
        position : int
            That of the checkpoint that the record came from.
        versions : sequence of Version
            Those that scored up to there.
        """
        self._number, self._from = versions[-1].number, versions[-1].effective_from
        machines = Machines(self._spec, self._config.input.format)
        may_teach = Usable(self._config, self._spec, machines, versions)
        for batch in source.batches():
            records = batch.records.take(batch.records.offset < position)
            self._buffer.take(may_teach(machines.close(records)))
            if batch.position >= position:
                break


class Usable:
    """Tells which windows were scored and not muted, without scoring them.

    Parameters
    ----------
    config : Config
    spec : WindowSpec
    machines : Machines
        That close the windows.
    versions : sequence of Version
    """

    def __init__(
        self, config: Config, spec: WindowSpec, machines: Machines, versions: Sequence[Version]
    ) -> None:
        nothing_known = np.zeros(
            len(spec.sensors), bool
        )  # changes what is said, not what is masked
        self._most = config.windows.max_missing
        self._quality = QualityCheck(spec, nothing_known, self._most)
        self._mute, self._machines = Mute(config, spec), machines
        self._versions, self._window_ns = versions, spec.window_ns

    def __call__(self, windows: Windows) -> Windows:
        """Return those windows, impossible cells masked."""
        if not len(windows):
            return windows
        muted = self._mute(windows)
        clean, _ = self._machines.clean(windows, self._quality, muted)
        version = active(self._versions, windows.start + self._window_ns)
        usable = np.zeros(len(windows), bool)
        for v in np.unique(version[version >= 0]):
            rows = np.flatnonzero(version == v)
            missing = missing_share(clean.values[rows], self._versions[v].detector.known)
            usable[rows] = (missing <= self._most) & (missing < 1)
        return clean.take(usable & ~muted)


def reason(number: int, said: dict[str, Any]) -> str:
    """Say in a sentence what a refit learned from.

    Examples
    --------
    >>> reason(2, {"windows": 1200, "from": "2024-01-01T00:00:00Z", "to": "2024-01-02T00:00:00Z",
    ...            "left_out": {"incident": 31, "muted": 0, "not_scored": 2}})
    'refit 2 of this replay: 1,200 windows from 2024-01-01T00:00:00Z to 2024-01-02T00:00:00Z, 33 \
left out (31 in an incident, 2 not scored)'
    """
    left_out = {name: count for name, count in said["left_out"].items() if count}
    names = {"incident": "in an incident", "muted": "muted", "not_scored": "not scored"}
    each = ", ".join(f"{count:,} {names[name]}" for name, count in left_out.items())
    return (
        f"refit {number} of this replay: {said['windows']:,} windows from {said['from']} to "
        f"{said['to']}, {sum(left_out.values()):,} left out" + (f" ({each})" if each else "")
    )
