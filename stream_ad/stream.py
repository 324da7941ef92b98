"""The loop: read a batch, process it, commit what came out. Nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from stream_ad.judged import Judged
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Progress
from stream_ad.transport.base import Batch, Outputs, Sink, Source, Told

if TYPE_CHECKING:
    from stream_ad.versions import Version


class Learner(Protocol):
    """Learns from what was judged, and now and then has new versions."""

    @property
    def step(self) -> int:
        """It is asked for them whenever the position passes a multiple of so many records."""
        ...

    def learn(self, judged: Sequence[Judged], told: Sequence[Told]) -> None:
        """Take in windows in the order in which they were judged, and what was told of them."""
        ...

    def versions(self, times: Iterable[int]) -> Sequence[Version]:
        """Return versions that score what is yet to come, from the machines' newest times."""
        ...


def stream(  # noqa: PLR0917 - the path in its order: from where, through what, to where
    source: Source,
    pipeline: Pipeline,
    sink: Sink,
    position: int,
    progress: Progress,
    watch: Callable[[Outputs], None] | None = None,
    learner: Learner | None = None,
) -> None:
    """Carry every batch from the source through the pipeline into the sink.

    Parameters
    ----------
    source : Source
    pipeline : Pipeline
        With a learner one that keeps what it judged.
    sink : Sink
    position : int
        Where to go on.
    progress : Progress
    watch : callable, optional
        Sees the outputs of every batch, after they were committed.
    learner : Learner, optional
        Its versions take effect at the same record however the records are cut into batches.
    """
    passed = 0 if learner is None else position // learner.step
    for batch in source.batches(position):
        if learner is None:
            outputs = pipeline.process([batch])
        else:
            outputs, passed = _learning(batch, pipeline, learner, passed)
        sink.commit(outputs, pipeline.partitions)
        progress.at(batch.position)
        if watch is not None:
            watch(outputs)


def _learning(
    batch: Batch, pipeline: Pipeline, learner: Learner, passed: int
) -> tuple[Outputs, int]:
    """Process a batch in steps; ``passed`` counts those that the learner was asked after."""
    rest = replace(batch, records=batch.records.take(slice(0, 0)))
    whole = Outputs([], [], [])
    for number, part in _steps(batch, learner.step):
        if number > passed:
            _ask(pipeline, learner)
            passed = number
        outputs = pipeline.process([part])
        learner.learn(pipeline.judged, outputs.incidents)
        whole.scores.extend(outputs.scores)
        whole.incidents.extend(outputs.incidents)
    # at the end of a batch, too: whoever goes on from here knows the position and no more
    if batch.position // learner.step > passed:
        _ask(pipeline, learner)
        passed = batch.position // learner.step
    return replace(whole, dead=pipeline.process([rest]).dead), passed


def _ask(pipeline: Pipeline, learner: Learner) -> None:
    for version in learner.versions(pipeline.times()):
        pipeline.lineup.adopt(version)


def _steps(batch: Batch, step: int) -> Iterator[tuple[int, Batch]]:
    """Cut a batch where its records pass multiples of a step; yield each part's number."""
    number = batch.records.offset // step
    ends = [*(np.flatnonzero(np.diff(number)) + 1).tolist(), len(number)]
    first = 0
    for end in ends if len(number) else ():
        part = batch.records.take(slice(first, end))
        yield int(number[first]), replace(batch, records=part, dead=(), counts={})
        first = end
