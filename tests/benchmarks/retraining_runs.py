"""A source streamed as a replay that trains anew does, an operator beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from stream_ad.evaluation.outputs import Run
from stream_ad.groups import Groups
from stream_ad.pipeline import Pipeline
from stream_ad.progress import Silence
from stream_ad.records import LabelRecord
from stream_ad.stream import stream
from stream_ad.training.learning import Learning
from stream_ad.transport.base import Source
from stream_ad.versions import Version
from tests.benchmarks.refitting import InMemory, Kept, Learned
from tests.benchmarks.retraining_operator import Operator, Says, nothing


@dataclass(frozen=True, slots=True)
class Retrained:
    """What came out, a record of each training, all labels and all versions."""

    run: Run
    tried: list[dict[str, Any]]
    said: list[LabelRecord]
    versions: list[Version]

    @property
    def refusals(self) -> list[str]:
        """What was said where the gate refused."""
        return [f"{one['at']}, {one['refused']}" for one in self.tried if "refused" in one]


@dataclass(frozen=True, slots=True)
class Session:
    """A replay that is ready to begin."""

    pipeline: Pipeline
    learning: Learning
    operator: Operator

    @classmethod
    def of(cls, learned: Learned, says: Says = nothing) -> Self:
        """Begin with a detector and what it learned from; its config says when to train anew."""
        keeper, first = InMemory(), Version(learned.detector, 1, learned.history.until + 1)
        pipeline = Pipeline(learned.config, learned.spec, [first], keep=True)
        groups, history = Groups(learned.config), learned.history.windows
        learning = Learning(groups, learned.spec, lambda _: keeper, [first], history)
        return cls(pipeline, learning, Operator(learning, says))

    def stream(self, source: Source) -> Retrained:
        """Carry a source through it."""
        sink = Kept()
        stream(source, self.pipeline, sink, 0, Silence(), learner=self.operator)
        versions = self.pipeline.lineup.versions
        return Retrained(sink.run(), self.learning.tried, self.operator.said, versions)
