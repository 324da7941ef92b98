"""A run that is only looked at: its outputs stay in memory."""

from __future__ import annotations

import numpy as np

from stream_ad.evaluation.judgement import ScoredWindows
from stream_ad.evaluation.outputs import Run
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Progress
from stream_ad.records import IncidentEvent
from stream_ad.transport.base import ScoreRow, Source


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
        About 200 bytes a window while it runs.
    """
    rows: list[ScoreRow] = []
    events: list[IncidentEvent] = []
    for batch in source.batches():
        outputs = pipeline.process([batch])
        rows.extend(outputs.scores)
        events.extend(told.event for told in outputs.incidents)
        progress.at(batch.position)
    scored = ScoredWindows(
        np.array([row.machine_id for row in rows], object),
        np.array([row.window_start for row in rows], np.int64),
        np.array([row.window_end for row in rows], np.int64),
        np.array([row.static_score for row in rows]),
        np.array([row.alarm for row in rows], bool),
    )
    return Run(scored, np.array([row.score for row in rows]), events)
