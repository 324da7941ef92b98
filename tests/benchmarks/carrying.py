"""A detector fitted to the history of a source, and a source carried through the whole path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stream_ad.config import Config
from stream_ad.detector import Detector
from stream_ad.evaluation.judgement import judge_run, spans_of
from stream_ad.evaluation.memory import run_in_memory
from stream_ad.evaluation.outputs import Run
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Silence
from stream_ad.training.fit import train
from stream_ad.training.history import collect_history
from stream_ad.transport.base import Source
from stream_ad.versions import Version
from stream_ad.windows import WindowSpec
from tests.benchmarks.recordings import Recording
from tests.benchmarks.tallies import Tally


@dataclass(frozen=True, slots=True)
class Fitted:
    """A detector with its config, and where its history ended, in ns."""

    config: Config
    spec: WindowSpec
    detector: Detector
    until: int

    @classmethod
    def of(
        cls, source: Source, config: Config, *, rows: int | None = None, time: int | None = None
    ) -> Fitted:
        """Learn from the first rows of a source, or from what ends by a time in ns."""
        spec = WindowSpec.from_config(config.windows)
        history = collect_history(source, config, spec, rows=rows, time=time)
        return cls(config, spec, train(history, config, spec, Silence()), history.until)

    @property
    def asked(self) -> float:
        """Return the asked budget, incidents per machine-day."""
        return self.config.alarm.budget_per_machine_day

    def carry(self, source: Source) -> Carried:
        """Stream a source as a replay does; what ends in the history is not scored."""
        version = Version(self.detector, 1, self.until + 1)
        pipeline = Pipeline(self.config, self.spec, [version])
        run = run_in_memory(source, pipeline, Silence())
        moved = [state.alerts.line.highest for state in pipeline.states()]
        return Carried(self, run, max(moved, default=0.0))


@dataclass(frozen=True, slots=True)
class Carried:
    """What came out, and the farthest that the line of any machine moved."""

    fitted: Fitted
    run: Run
    moved: float

    def judged(self, recording: Recording) -> dict[str, Any]:
        """Hold scores, alarms and incidents against the labels; see `judge_run`."""
        fitted, run = self.fitted, self.run
        spans = spans_of(run.events)
        rows = recording.rows()
        return judge_run(rows, run.scored, spans, fitted.spec, fitted.until, fitted.asked)

    def tally(self, recording: Recording | None = None) -> Tally:
        """Count; of a labelled recording the p-values of wholly normal windows only."""
        spec, run = self.fitted.spec, self.run
        normal = np.ones(len(run.score), bool)
        if recording is not None:
            faulty = np.concatenate([[0], np.cumsum(recording.label == 1)])
            span = np.stack([run.scored.start, run.scored.end])
            first, last = faulty[np.searchsorted(recording.time, span)]
            normal = first == last
        return Tally.of(run, self.fitted.detector.line_, spec.hop_ns, self.fitted.asked, normal)
