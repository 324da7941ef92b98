"""Training anew: when, on what, and whether what came of it may score.

The same in a replay and in the trainer of the service. Time is the time of the stream: what is
trained when, and on what, follows from the records, the incidents and the labels alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream_ad.config import Config
from stream_ad.config.groups import DEFAULT
from stream_ad.errors import ModelError, NotEnoughHistory
from stream_ad.progress import Progress, Silence
from stream_ad.records import IncidentEvent, LabelRecord
from stream_ad.training.buffer import Buffer, TrainingSet
from stream_ad.training.drift_watch import DriftWatch
from stream_ad.training.fit import train
from stream_ad.training.gate import Moved, Verdict, judge, split
from stream_ad.training.history import History
from stream_ad.training.labels import Labels
from stream_ad.training.moved import Account
from stream_ad.training.poisoning import some_of
from stream_ad.training.shelf import whole
from stream_ad.training.triggers import Cause, Triggers
from stream_ad.training.unvouched import unvouched
from stream_ad.versions import Version
from stream_ad.windows import Windows, WindowSpec, rfc3339
from stream_ad.windows.spec import NS, missing_share

if TYPE_CHECKING:
    from stream_ad.detector import Detector


FRESH = 0.2  # of the windows have to have a sensor that is new, before it is learned
UNVOUCHED = {
    "too_few": "since it is new and has shown too little",
    "alone": "on days when it moved and its group did not",
    "too_odd": "in incidents that nobody labelled, where it was beyond drift.max_total",
}


class Keeper(Protocol):
    """Where new detectors go, and where it is written down why."""

    def promote(self, detector: Detector, since: int, decision: Mapping[str, Any]) -> Version:
        """Keep a detector that scores what ends at ``since`` or later."""
        ...

    def refuse(self, decision: Mapping[str, Any]) -> None:
        """Keep why a detector was not promoted."""
        ...


class Retraining:
    """Trains one machine group's detector anew.

    Parameters
    ----------
    config : Config
        ``training`` says when and on what, ``detector`` what.
    spec : WindowSpec
    keeper : Keeper
    champion : Version or None
        What scores; None before anything does: then as many windows as a training needs are the
        first cause.
    buffer : Buffer
        What is learned from; its quarantine knows the incidents.
    record : dict
        What is known of trainings so far, as JSON values: changed in place, for a checkpoint.
    progress : Progress, optional
    newest : callable, optional
        Asked after a training for the newest event time: the stream has gone on meanwhile. Without
        it the stream stands still while a detector is trained.
    group : str
        Whose detector it is.

    Attributes
    ----------
    record : dict
        ``tried``: a record of each training, with what became of it; ``left_out``: windows that
        none may learn from, by reason; ``moved``: what the gate knows of slow changes.
    """

    def __init__(  # noqa: PLR0917 - what a training is made of
        self,
        config: Config,
        spec: WindowSpec,
        keeper: Keeper,
        champion: Version | None,
        buffer: Buffer,
        record: dict[str, Any],
        progress: Progress | None = None,
        newest: Callable[[], int] | None = None,
        group: str = DEFAULT,
    ) -> None:
        self._group = group
        self._config, self._spec, self._keeper = config, spec, keeper
        self.champion, self.buffer, self._quarantine = champion, buffer, buffer.quarantine
        self._progress, self._newest = progress or Silence(), newest
        self.record = record
        self.record.setdefault("tried", [])
        self.record.setdefault("left_out", {"muted": 0, "not_scored": 0})
        self.labels = Labels(record)
        self._triggers = Triggers(config.training, record.setdefault("triggers", {}))
        self._watch: DriftWatch | None = None
        if config.training.on_drift:
            self._watch = DriftWatch(record.setdefault("watch", {}))

    # ------------------------------------------------------------------ what comes in

    def take(self, windows: Windows, left_out: Mapping[str, int] | None = None) -> None:
        """Take in windows that may teach, those of a machine in order of start.

        Parameters
        ----------
        windows : Windows
        left_out : mapping of str to int, optional
            Windows among them that may not, by reason.
        """
        counted = Counter(self.record["left_out"])
        counted.update(left_out or {})
        self.record["left_out"] = dict(counted)
        if not len(windows):
            return
        self.buffer.take(windows)
        self._triggers.saw(len(windows))
        if self._watch is not None and self.champion is not None:
            self._watch.begin(self.champion.number)
            why = self._watch.update(windows, self._static(self.champion, windows))
            if why is not None:
                self._triggers.drifted(why)

    def tell(self, events: Iterable[IncidentEvent]) -> None:
        """Take in what was told of incidents, before windows that they may cover are ripe."""
        for event in events:
            self._quarantine.tell(event)

    def label(self, labels: Iterable[LabelRecord]) -> None:
        """Take in what operators said; each counts from its own time on."""
        self.labels.add(labels)

    def ask(self, who: str) -> None:
        """Let a person ask for a training."""
        self._triggers.asked(who)

    # ------------------------------------------------------------------ what comes of it

    def turn(self, newest: int) -> Version | None:
        """Train if there is a cause.

        Parameters
        ----------
        newest : int
            The newest event time accepted, in ns.

        Returns
        -------
        Version or None
            None as well where a training failed or the gate refused: everything stays as it was,
            and the record says why.
        """
        self._hear(newest)
        cause = self._cause(newest)
        if cause is None or self._waits(cause, newest):
            return None
        self._triggers.trained(newest)
        said: dict[str, Any] = {
            "at": rfc3339(newest),
            "group": self._group,
            "cause": cause.sentence,
            "kind": cause.kind,
        }
        self.record["tried"].append(said)
        self._progress.note(f"training anew: {cause.sentence}")
        try:
            return self._train(newest, said)
        except (NotEnoughHistory, ModelError) as error:
            said["failed"] = str(error)
            self._progress.note(f"no training at {said['at']}: {error}")
            self._keeper.refuse(said)
            return None
        except BaseException:
            # nothing was decided: the registry or the broker could not be reached, or it is the end
            self._triggers.undecided(cause, newest)
            raise

    def progress_of(self, newest: int) -> dict[str, Any]:
        """Return how far the buffer is, and when at this pace it will be enough, as JSON values."""
        have, need = self.buffer.taken, self._config.training.min_windows
        first = self.buffer.first
        left_s: float | None = None
        if have and first is not None and have < need:
            left_s = (newest - first) / NS / have * (need - have)
        return {"windows": have, "needed": need, "seconds_left": left_s}

    def _cause(self, newest: int) -> Cause | None:
        if self.champion is not None:
            return self._triggers.cause(newest) if self.buffer.taken else None
        have, need = self.buffer.taken, self._config.training.min_windows
        grown = have >= 1.25 * self.record.get("at_first_try", 0)
        if have < need or not grown:
            return None
        self.record["at_first_try"] = have
        return Cause("cold_start", f"first {have:,} windows of {need:,} needed")

    def _waits(self, cause: Cause, newest: int) -> bool:
        """Say whether a cause has to wait: a version scores nothing but what is newer than it."""
        champion = self.champion
        if champion is None or self._since(newest) > champion.effective_from:
            self.record.pop("waits", None)
            return False
        if self.record.get("waits") != cause.sentence:
            self.record["waits"] = cause.sentence
            since = rfc3339(champion.effective_from)
            self._progress.note(f"waits until the stream has passed {since}: {cause.sentence}")
        return True

    def _hear(self, newest: int) -> None:
        """Let labels count whose time has come."""
        for label in self.labels.hear(newest):
            self._quarantine.label(label)
            self._triggers.labelled(1)
        if due := self.labels.due(newest, self.buffer):
            self._triggers.labelled(0, new_normal=due)

    def _train(self, newest: int, said: dict[str, Any]) -> Version | None:
        config, spec = self._config, self._spec
        confirmed = self.labels.ready(newest, self.buffer)
        accepted = _machines(confirmed)
        found = self.buffer.training_set(newest)
        left_out = self._unvouched(found, accepted, newest, said)
        taught = np.ones(len(found.y), bool)
        for rows in left_out.values():
            taught[rows] = False
        windows, y = found.windows.take(taught), found.y[taught].astype(np.int64)
        windows = self._without_fresh_sensors(windows)
        if len(windows) < config.training.min_windows:
            raise NotEnoughHistory(
                f"{len(windows)} windows to learn from, training.min_windows is "
                f"{config.training.min_windows}"
            )
        known = [len(windows), int(windows.start.sum()), int(y.sum())]
        nothing_new = known == self.record.get("known") and not self.labels.waiting()
        if self.champion is not None and nothing_new:
            raise NotEnoughHistory("nothing to learn from that the last version did not know")
        learned, y_learned, held_out = split(windows, y, spec, config.training.gate.held_out)
        said |= self._about(learned, newest)
        # the held-out ones count for as many as are needed
        few = config.training.model_copy(update={"min_windows": 1})
        enough = config.model_copy(update={"training": few})
        rare = self.labels.rare(learned, y_learned)
        detector = train(History(learned, newest), enough, spec, Silence(), rare)
        normal, anomalies = learned.take(y_learned == 0), windows.take(y < 0)
        # whoever shows nothing else by now has moved, though that is not learned
        too_odd = found.windows.take(left_out.get("too_odd", np.empty(0, np.int64)))
        normal = Windows.concat([normal, too_odd])
        verdict = self._judge(detector, normal, held_out, anomalies, accepted, newest)
        said["gate"] = verdict.to_json()
        if not verdict.passed:
            said["refused"] = verdict.sentence
            self._progress.note(verdict.sentence)
            self._keeper.refuse(said)
            return None
        said |= {"known": known, "confirmed": [label.incident_id for label in confirmed]}
        version = self._promote(detector, said, accepted, newest)
        # not before: what was not promoted is not known
        self.record["moved"] = verdict.moved.to_json()
        self.record["known"] = known
        self.labels.confirm(confirmed)
        return version

    def _judge(  # noqa: PLR0917 - both detectors, what they are judged on, who is exempt
        self,
        detector: Detector,
        learned: Windows,
        held_out: Windows,
        anomalies: Windows,
        accepted: frozenset[str],
        newest: int,
    ) -> Verdict:
        champion = self.champion
        return judge(
            detector,
            None if champion is None else whole(champion.detector),
            self._reference,
            learned,
            held_out,
            anomalies,
            self._config,
            self._spec,
            moved=self._moved,
            accepted=accepted,
            now=newest,
        )

    def _unvouched(
        self, found: TrainingSet, accepted: frozenset[str], newest: int, said: dict[str, Any]
    ) -> dict[str, NDArray[np.int64]]:
        """Return the rows that teach nothing after all, and say whose they are and why."""
        reference = self._reference
        if reference is None:
            return {}
        account, rest = Account(reference, self._moved), self.buffer.left_out(newest)
        reasons = unvouched(reference, found, rest, self._config, account, accepted)
        for name, rows in reasons.items():
            machines, counts = np.unique(
                found.windows.machine[rows].astype(str), return_counts=True
            )
            said[name] = dict(zip(machines.tolist(), counts.tolist(), strict=True))
        return reasons

    def _without_fresh_sensors(self, windows: Windows) -> Windows:
        """Return windows without sensors that the champion does not know and that are rare yet.

        A detector trusts what it has seen: after three windows it would take the fourth, with any
        other value, for odd.
        """
        if self.champion is None:
            return windows
        there = ~np.isnan(windows.values).all(axis=1)
        fresh = ~self.champion.detector.known & (there.mean(axis=0) < FRESH)
        if not (there.any(axis=0) & fresh).any():
            return windows
        values = windows.values.copy()
        values[:, :, fresh] = np.nan
        return replace(windows, values=values)

    @property
    def _reference(self) -> Detector | None:
        champion = self.champion
        return None if champion is None else whole((champion.reference or champion).detector)

    @property
    def _moved(self) -> Moved | None:
        moved = self.record.get("moved")
        return None if moved is None else Moved.from_json(moved)

    def _promote(
        self, detector: Detector, said: dict[str, Any], accepted: frozenset[str], newest: int
    ) -> Version:
        known = newest if self._newest is None else self._newest()
        since = self._since(known)
        champion = self.champion
        reference = None if champion is None or accepted else champion.reference or champion
        said |= {
            "effective_from": rfc3339(since),
            "reference": None if reference is None else reference.number,
            "accepted": sorted(accepted),
        }
        said["reason"] = reason(said)
        version = self._keeper.promote(detector, since, said)
        version = replace(version, reference=reference, accepted=accepted)
        said["version"] = version.number
        self.champion = version
        self._progress.note(f"version {version.number}: {said['reason']}")
        return version

    def _since(self, newest: int) -> int:
        return newest + 1 + round(self._config.training.lead_s * NS)

    def _about(self, windows: Windows, newest: int) -> dict[str, Any]:
        first, last = int(windows.start.min()), int(windows.start.max()) + self._spec.window_ns
        return {
            "windows": len(windows),
            "from": rfc3339(first),
            "to": rfc3339(last),
            "left_out": dict(self.record["left_out"]),
            "buffer": self.buffer.composition(newest),
        }

    def _static(self, version: Version, windows: Windows) -> NDArray[np.float64]:
        detector, most = version.detector, self._config.windows.max_missing
        missing = missing_share(windows.values, detector.known)
        usable = np.flatnonzero((missing <= most) & (missing < 1))
        static = np.full(len(windows), np.nan)
        some = windows.take(usable)
        raw = detector.score(some.values, some.start, some.machine).raw
        static[usable] = detector.line_.static_score(raw)
        return static


def _machines(labels: Iterable[LabelRecord]) -> frozenset[str]:
    """Return the machines whose new normal labels accept; ``*`` is all of the group."""
    return frozenset("*" if one.new_normal == "group" else one.machine_id for one in labels)


def reason(said: Mapping[str, Any]) -> str:
    """Say in a sentence why a detector was trained, on what, and what the gate found.

    Examples
    --------
    >>> reason({"cause": "due", "windows": 1200, "gate": {"sentence": "passed: all"},
    ...         "from": "2024-01-01T00:00:00Z", "to": "2024-01-02T00:00:00Z"})
    'due: 1,200 windows from 2024-01-01T00:00:00Z to 2024-01-02T00:00:00Z; passed: all'
    """
    span = f"{said['windows']:,} windows from {said['from']} to {said['to']}"
    for name, why in UNVOUCHED.items():
        if machines := said.get(name):
            span += f", none of {some_of(sorted(machines))} {why}"
    return f"{said['cause']}: {span}; {said['gate']['sentence']}"
