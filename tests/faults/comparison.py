"""A disturbed service beside one that read the same topic undisturbed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.table import Figure
from tests.faults.crew import Crew
from tests.faults.load import Record
from tests.faults.oracle import Verdict, compare
from tests.faults.outcome import Outcome
from tests.faults.site import FaultTestError, Service, Site

CUT = 64_000  # the shortest that a letter is cut to
Bad = Mapping[tuple[int, int], Record]


@dataclass(frozen=True)
class Comparison:
    """What both left, and what the load says of its own bad records.

    Parameters
    ----------
    expected, actual : Outcome
    bad : mapping of (int, int) to Record
        The records that cannot be used, by partition and offset.
    """

    expected: Outcome
    actual: Outcome
    bad: Bad

    @classmethod
    def of(
        cls,
        site: Site,
        disturbed: Service,
        bad: Bad,
        changes: Mapping[str, Any] | None = None,
    ) -> Comparison:
        """Let one worker read the topic of a service undisturbed, and see what both left.

        Parameters
        ----------
        site : Site
        disturbed : Service
            Has come to the end of its input.
        bad : mapping
        changes : mapping, optional
            As for the disturbed service.
        """
        service = site.service("undisturbed", disturbed.topics.input, changes)
        with Crew(service) as crew:
            crew.start(0)
            crew.drain()
        if crew.failed or crew.disorderly:
            raise FaultTestError("the worker that nobody disturbed failed all the same")
        expected = Outcome.read(site.bootstrap, service.topics)
        return cls(expected, Outcome.read(site.bootstrap, disturbed.topics), bad)

    def verdicts(self) -> dict[str, Verdict]:
        """Compare each kind of output, and the machines' last states."""
        expected, actual = self.expected, self.actual
        return {
            "scores": compare(expected.score_outputs(), actual.score_outputs()),
            "incident events": compare(expected.incident_outputs(), actual.incident_outputs()),
            "dead letters": compare(expected.dead_outputs(), actual.dead_outputs()),
            "machine states": compare(expected.state_outputs(), actual.state_outputs()),
        }

    def figures(self) -> Iterator[Figure]:
        """Yield all figures of right and wrong."""
        for kind, verdict in self.verdicts().items():
            yield from verdict.figures(kind)
        yield Figure(
            "dead letters unlike the load's", self.unlike(), 0, "exactly", correctness=True
        )

    def unlike(self) -> int:
        """Return how many bad records have no letter, or another cause, or letters for nothing."""
        return unlike(self.bad, self.actual)

    @property
    def wrong(self) -> int:
        """Everything that is wrong."""
        return self.unlike() + sum(verdict.wrong for verdict in self.verdicts().values())


def unlike(bad: Bad, outcome: Outcome) -> int:
    """Return how many bad records have no letter of their own, and letters no record.

    A letter is of its own when it names position and cause, and has the record's bytes: all of
    them or, where the topic could not take those, their beginning, with the whole's length and
    digest in its headers.
    """
    letters = {}
    for message in outcome.dead:
        headers = {name: value.decode() for name, value in message.headers}
        place = int(headers["source_partition"]), int(headers["source_offset"])
        letters[place] = headers | {"value": message.value, "topic_key": message.key}
    wrong = len(letters.keys() ^ bad.keys())
    for place in letters.keys() & bad.keys():
        wrong += not _fits(bad[place], letters[place])
    return wrong


def _fits(record: Record, letter: Mapping[str, Any]) -> bool:
    value = record.value or b""
    digest = hashlib.sha256(value).hexdigest()
    told = (record.cause, record.key, str(len(value)), digest)
    kept = letter["value"] or b""
    return (
        told == (letter["error_class"], letter["topic_key"], letter["length"], letter["sha256"])
        and bool(letter["error_message"])
        and (kept == value or (len(value) > len(kept) >= CUT and value.startswith(kept)))
    )
