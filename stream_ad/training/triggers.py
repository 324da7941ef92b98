"""When a detector is trained anew, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stream_ad.config import TrainingConfig
from stream_ad.windows import rfc3339
from stream_ad.windows.spec import NS

AGAIN_NS = 600 * NS  # event time until what came to nothing is tried once more


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a detector is trained anew.

    Parameters
    ----------
    kind : str
        ``asked``, ``new_normal``, ``labels``, ``drift``, ``windows`` or ``schedule``.
    sentence : str
        For people; begins in lower case and ends without a full stop.
    """

    kind: str
    sentence: str


class Triggers:
    """What has happened since the last training, and whether it is time for another.

    Parameters
    ----------
    training : TrainingConfig
        ``every_s``, ``every_windows``, ``on_drift``, ``on_labels``, ``cool_down_s``.
    record : dict
        What is known so far, as JSON values: changed in place, for a checkpoint.

    Attributes
    ----------
    record : dict
        ``last``: newest event time at the last training, in ns, or when counting began;
        ``windows``, ``labels``: since then; ``new_normal``: labels that say so; ``asked``: who
        asked; ``drift``: what drifted; ``again``: why a training began of which nothing came, and
        when it is tried once more.

    Notes
    -----
    Nothing is lost during the cool-down: it waits. A training takes all causes with it, whether
    its detector is promoted or refused.

    Examples
    --------
    >>> triggers = Triggers(TrainingConfig(every_windows=100, cool_down_s=60), {})
    >>> triggers.trained(0)
    >>> triggers.saw(120)
    >>> triggers.cause(30 * NS)
    >>> triggers.cause(60 * NS).sentence
    '120 new windows (training.every_windows = 100)'
    """

    def __init__(self, training: TrainingConfig, record: dict[str, Any]) -> None:
        self._training, self.record = training, record
        empty = {"last": None, "windows": 0, "labels": 0, "new_normal": 0}
        for key, value in (empty | {"asked": None, "drift": None, "again": None}).items():
            record.setdefault(key, value)

    def saw(self, windows: int) -> None:
        """Count windows that were scored."""
        self.record["windows"] += windows

    def labelled(self, labels: int, *, new_normal: int = 0) -> None:
        """Count new labels, and those among them that say what is normal from now on."""
        self.record["labels"] += labels
        self.record["new_normal"] += new_normal

    def asked(self, who: str) -> None:
        """Note that somebody wants it."""
        self.record["asked"] = who

    def drifted(self, why: str) -> None:
        """Note that what is ordinary has moved."""
        self.record["drift"] = why

    def cause(self, newest: int) -> Cause | None:
        """Return why to train now, or None.

        Parameters
        ----------
        newest : int
            The newest event time accepted, in ns.
        """
        if self.record["last"] is None:  # the first look begins the schedule
            self.record["last"] = newest
            return next(self._causes(0), None)
        if (again := self.record["again"]) is not None and newest >= again[2]:
            return Cause(again[0], again[1])
        since = newest - self.record["last"]
        if since < self._training.cool_down_s * NS:
            return None
        return next(self._causes(since), None)

    def trained(self, newest: int) -> None:
        """Begin anew: a detector was trained on what is known up to this event time."""
        every, windows = self._training.every_windows, self.record["windows"]
        due = every is not None and windows >= every
        self.record |= {
            "last": newest,
            # the beat does not depend on how many windows a batch holds
            "windows": windows % every if every is not None and due else 0,
            "labels": 0,
            "new_normal": 0,
            "asked": None,
            "drift": None,
            "again": None,
        }

    def undecided(self, cause: Cause, newest: int) -> None:
        """Note that nothing came of a training, neither a promotion nor a refusal."""
        self.record["again"] = [cause.kind, cause.sentence, newest + AGAIN_NS]

    def _causes(self, since: int) -> Iterator[Cause]:
        """Yield what is due, what people said first."""
        told, training = self.record, self._training
        if told["asked"] is not None:
            yield Cause("asked", f"asked for by {told['asked']}")
        if told["new_normal"]:
            yield Cause("new_normal", "a label says that what was odd is normal from now on")
        if training.on_labels is not None and told["labels"] >= training.on_labels:
            said = f"{told['labels']:,} new labels (training.on_labels = {training.on_labels})"
            yield Cause("labels", said)
        if training.on_drift and told["drift"] is not None:
            yield Cause("drift", f"{told['drift']} (training.on_drift)")
        if training.every_windows is not None and told["windows"] >= training.every_windows:
            every = f"training.every_windows = {training.every_windows}"
            yield Cause("windows", f"{told['windows']:,} new windows ({every})")
        if training.every_s is not None and since >= training.every_s * NS:
            due = rfc3339(told["last"] + round(training.every_s * NS))
            yield Cause("schedule", f"due since {due} (training.every_s = {training.every_s:g})")
