"""An operator of a replay: watches what is told and says, at times of the stream, what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stream_ad.judged import Judged
from stream_ad.records import IncidentEvent, LabelRecord
from stream_ad.training.learning import Learning
from stream_ad.transport.base import Told
from stream_ad.versions import Version
from stream_ad.windows import rfc3339
from stream_ad.windows.spec import parse_rfc3339
from tests.benchmarks.aging import Event

WATCHED = ("process", "drift")

Word = Literal["normal", "anomaly"]


@dataclass(slots=True)
class Case:
    """An incident as the operator knows it, its events so far joined; times in ns."""

    incident_id: str
    machine: str
    kind: str
    started_at: int
    ended_at: int | None = None

    def label(
        self, said: Word, at: int, new_normal: Literal["no", "machine", "group"] = "no"
    ) -> LabelRecord:
        """Say what it was."""
        return LabelRecord(
            incident_id=self.incident_id,
            label=said,
            machine_id=self.machine,
            machine_group="default",
            started_at=rfc3339(self.started_at),
            ended_at=None if self.ended_at is None else rfc3339(self.ended_at),
            labelled_at=rfc3339(at),
            new_normal=new_normal,
        )


Cases = Mapping[str, Case]
Says = Callable[[int, Cases], Sequence[LabelRecord]]  # at an event time, of all cases so far


class Operator:
    """A learner that hears an operator.

    Parameters
    ----------
    learning : Learning
    says : callable
        Asked before every look at whether a training is due.

    Attributes
    ----------
    said : list of LabelRecord
        All labels so far.
    """

    def __init__(self, learning: Learning, says: Says) -> None:
        self._learning, self._says = learning, says
        self._cases: dict[str, Case] = {}
        self.said: list[LabelRecord] = []

    @property
    def step(self) -> int:
        """As of the learning."""
        return self._learning.step

    def learn(self, judged: Sequence[Judged], told: Sequence[Told]) -> None:
        """Watch, and pass on."""
        for one in told:
            if one.event.kind in WATCHED:
                self._watch(one.event)
        self._learning.learn(judged, told)

    def versions(self, times: Iterable[int]) -> Sequence[Version]:
        """Say what there is to say, then let it train if it is time."""
        known = [*times]
        labels = self._says(max(known), self._cases) if known else []
        self.said += labels
        self._learning.label(labels)
        return self._learning.versions(known)

    def _watch(self, event: IncidentEvent) -> None:
        name, since = event.incident_id, parse_rfc3339(event.started_at)
        case = self._cases.setdefault(name, Case(name, event.machine_id, event.kind, since))
        if event.event == "closed":
            case.ended_at = parse_rfc3339(event.window_end)


def nothing(newest: int, cases: Cases) -> Sequence[LabelRecord]:
    """Say nothing."""
    del newest, cases
    return []


class AfterChanges:
    """Some time after each change of all machines an operator speaks of what is still open.

    Parameters
    ----------
    changes : sequence of int
        When they came, in ns, ascending.
    after_ns : int
        So much later.
    window_ns : int
        Length of a window: the first that shows a change begins before it.
    new_normal : bool
        Whether the earliest open incident since the change is called the new normal of the group;
        otherwise all of them are labelled normal, and no more is said. While there is none,
        nothing is.
    """

    def __init__(
        self, changes: Sequence[int], after_ns: int, window_ns: int, *, new_normal: bool = True
    ) -> None:
        self._waiting, self._new_normal = [*changes], new_normal
        self._after_ns, self._window_ns = after_ns, window_ns

    def __call__(self, newest: int, cases: Cases) -> Sequence[LabelRecord]:
        """Return the labels, once their time has come."""
        return [*self._due(newest, cases)]

    def _due(self, newest: int, cases: Cases) -> Iterator[LabelRecord]:
        while self._waiting and newest >= self._waiting[0] + self._after_ns:
            since = self._waiting[0] - self._window_ns
            shown = [c for c in cases.values() if c.ended_at is None and c.started_at > since]
            if not shown:
                return
            shown.sort(key=lambda case: (case.started_at, case.machine, case.kind))
            if self._new_normal:
                yield shown[0].label("normal", newest, "group")
            else:
                yield from (case.label("normal", newest) for case in shown)
            self._waiting.pop(0)


class OfSpans:
    """An operator who says the same of every incident that is over and overlaps one of some spans.

    Parameters
    ----------
    said : {"normal", "anomaly"}
    spans : sequence of Event
    """

    def __init__(self, said: Word, spans: Sequence[Event]) -> None:
        self._said, self._spans = said, spans
        self._known: set[str] = set()

    def __call__(self, newest: int, cases: Cases) -> Sequence[LabelRecord]:
        """Return the labels of those that closed since it was last asked."""
        return [case.label(self._said, newest) for case in self._fresh(cases)]

    def _fresh(self, cases: Cases) -> Iterator[Case]:
        for case in cases.values():
            if case.ended_at is None or case.incident_id in self._known:
                continue
            self._known.add(case.incident_id)
            if any(_overlap(case, span) for span in self._spans):
                yield case


def _overlap(case: Case, span: Event) -> bool:
    assert case.ended_at is not None
    same = case.machine == span.machine
    return same and case.started_at < span.end and span.start < case.ended_at
