"""The loop: read a batch, process it, commit what came out. Nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from stream_ad.pipeline import Pipeline
from stream_ad.progress import Progress
from stream_ad.state import MachineState
from stream_ad.transport.base import Outputs, Sink, Source
from stream_ad.windows import WindowSpec


class StateView(Mapping[str, bytes]):
    """The states of all machines, serialised when read."""

    def __init__(self, states: Mapping[str, MachineState], spec: WindowSpec) -> None:
        self._states, self._spec = states, spec

    def __getitem__(self, machine: str) -> bytes:
        return self._states[machine].to_bytes(self._spec)

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)


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
    states = StateView(pipeline.machines.states, pipeline.spec)
    for batch in source.batches(position):
        outputs = pipeline.process(batch)
        sink.commit(outputs, states, pipeline.changed(batch), batch.position)
        progress.at(batch.position)
        if watch is not None:
            watch(outputs)
