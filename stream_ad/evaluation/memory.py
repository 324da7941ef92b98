"""A run that is only looked at: its outputs stay in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from stream_ad.evaluation.judgement import ScoredWindows
from stream_ad.evaluation.outputs import Run
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Progress
from stream_ad.records import IncidentEvent
from stream_ad.stream import stream
from stream_ad.transport.base import Outputs, Source


class MemorySink:
    """Keeps the columns that judging reads, about 60 bytes a window."""

    def __init__(self) -> None:
        self._machine: list[str] = []
        self._numbers: list[tuple[int, int, float, float, bool]] = []
        self.events: list[IncidentEvent] = []

    def commit(
        self,
        outputs: Outputs,
        states: Mapping[str, bytes],  # noqa: ARG002 - there is nothing to resume
        changed: Collection[str],  # noqa: ARG002
        position: int,  # noqa: ARG002
    ) -> None:
        """Keep a batch's scores and incidents."""
        self.events.extend(outputs.incidents)
        for row in outputs.scores:
            self._machine.append(row.machine_id)
            self._numbers.append(
                (row.window_start, row.window_end, row.score, row.static_score, row.alarm)
            )

    def close(self) -> None:
        """Do nothing: nothing was opened."""

    def run(self) -> Run:
        """Return everything as one run."""
        columns = zip(*self._numbers, strict=True) if self._numbers else [()] * 5
        start, end, score, static, alarm = columns
        scored = ScoredWindows(
            np.array(self._machine, object),
            np.array(start, np.int64),
            np.array(end, np.int64),
            np.array(static),
            np.array(alarm, bool),
        )
        return Run(scored, np.array(score), self.events)


def run_in_memory(source: Source, pipeline: Pipeline, progress: Progress) -> Run:
    """Stream a whole source through a pipeline and return what came out.

    Parameters
    ----------
    source : Source
    pipeline : Pipeline
    progress : Progress

    Returns
    -------
    Run
    """
    sink = MemorySink()
    stream(source, pipeline, sink, 0, progress)
    return sink.run()
