"""A source through the loop of a replay that fits anew on the way, its outputs in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stream_ad.config import Config
from stream_ad.detector import Detector
from stream_ad.evaluation.judgement import ScoredWindows
from stream_ad.evaluation.outputs import Run
from stream_ad.groups import Groups
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Silence
from stream_ad.records import IncidentEvent, LabelRecord
from stream_ad.stream import stream
from stream_ad.training.fit import train
from stream_ad.training.history import History, collect_history
from stream_ad.training.learning import Learning
from stream_ad.transport.base import Held, Outputs, ScoreRow, Source
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec


@dataclass(slots=True)
class Kept:
    """A sink that keeps what it is given."""

    rows: list[ScoreRow] = field(default_factory=list)
    events: list[IncidentEvent] = field(default_factory=list)

    def commit(self, outputs: Outputs, held: Mapping[int, Held]) -> None:
        """Take the outputs of a batch."""
        assert held
        self.rows.extend(outputs.scores)
        self.events.extend(told.event for told in outputs.incidents)

    def run(self) -> Run:
        """Return them as those of a finished run."""
        rows = self.rows
        scored = ScoredWindows(
            np.array([row.machine_id for row in rows], object),
            np.array([row.window_start for row in rows], np.int64),
            np.array([row.window_end for row in rows], np.int64),
            np.array([row.static_score for row in rows]),
            np.array([row.alarm for row in rows], bool),
        )
        return Run(scored, np.array([row.score for row in rows]), self.events)


@dataclass(slots=True)
class InMemory:
    """A `stream_ad.training.retraining.Keeper` whose versions lie nowhere."""

    number: int = 1

    def promote(self, detector: Detector, since: int, decision: Mapping[str, Any]) -> Version:
        """Return the next version."""
        self.number += 1
        detector.card |= {"version": self.number, "promoted": decision["reason"]}
        return Version(detector, self.number, since)

    def refuse(self, decision: Mapping[str, Any]) -> None:
        """Leave it to the record."""


@dataclass(frozen=True, slots=True)
class Refitted:
    """What came out, and a record of each training."""

    run: Run
    tried: list[dict[str, Any]]

    @property
    def made(self) -> int:
        """How many versions followed the first."""
        return sum("version" in one for one in self.tried)


@dataclass(frozen=True, slots=True)
class Learned:
    """A detector and the history that it learned from: where every setting begins."""

    config: Config
    spec: WindowSpec
    history: History
    detector: Detector

    @classmethod
    def of(
        cls, source: Source, config: Config, *, rows: int | None = None, time: int | None = None
    ) -> Learned:
        """Learn from the first rows of a source, or from what ends by a time in ns."""
        spec = WindowSpec.from_config(config.windows)
        history = collect_history(source, config, spec, rows=rows, time=time)
        return cls(config, spec, history, train(history, config, spec, Silence()))

    def carry(
        self,
        source: Source,
        every: int | None = None,
        labels: Sequence[LabelRecord] = (),
        **training: Any,
    ) -> Refitted:
        """Stream a source as a replay does, trained anew after so many windows; None: never."""
        settings = self.config.training.model_copy(update={"every_windows": every} | training)
        config = self.config.model_copy(update={"training": settings})
        learns = settings.trains_anew or bool(labels)
        first = Version(self.detector, 1, self.history.until + 1)
        pipeline = Pipeline(config, self.spec, [first], keep=learns)
        learning = None
        if learns:
            keeper, groups = InMemory(), Groups(config)
            learning = Learning(
                groups, self.spec, lambda _: keeper, [first], self.history.windows, labels=labels
            )
        sink = Kept()
        stream(source, pipeline, sink, 0, Silence(), learner=learning)
        return Refitted(sink.run(), [] if learning is None else learning.tried)
