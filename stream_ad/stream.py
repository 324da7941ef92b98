"""The loop: read a batch, process it, commit what came out. Nothing else."""

from __future__ import annotations

from collections.abc import Callable

from stream_ad.pipeline import Pipeline
from stream_ad.progress import Progress
from stream_ad.transport.base import Outputs, Sink, Source


def stream(  # noqa: PLR0917 - the path in its order: from where, through what, to where
    source: Source,
    pipeline: Pipeline,
    sink: Sink,
    position: int,
    progress: Progress,
    watch: Callable[[Outputs], None] | None = None,
) -> None:
    """Carry every batch from the source through the pipeline into the sink.

    Parameters
    ----------
    source : Source
    pipeline : Pipeline
    sink : Sink
    position : int
        Where to go on.
    progress : Progress
    watch : callable, optional
        Sees the outputs of every batch, after they were committed.
    """
    for batch in source.batches(position):
        outputs = pipeline.process([batch])
        sink.commit(outputs, pipeline.partitions)
        progress.at(batch.position)
        if watch is not None:
            watch(outputs)
