"""What a worker counts, as Prometheus reads it.

Labels are bounded: partitions, kinds, severities, reasons; never machines. Nothing here costs
work per record: a transaction is told in a handful of calls.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, get_args

from prometheus_client import CollectorRegistry, Counter

from stream_ad.records import Severity
from stream_ad.service.series import Series

if TYPE_CHECKING:
    from stream_ad.transport.base import Outputs

DAY_S, NS = 86_400.0, 1e9
MOST_REASONS = 50
UNUSED = frozenset({"late", "repeated", "jump"})
NOT_SCORED = frozenset({"too_much_missing", "before_model", "no_model"})
TOLD_ELSEWHERE = frozenset({"records", "windows", "scored"})


class Metrics:
    """The figures of one worker.

    Parameters
    ----------
    registry : CollectorRegistry, optional
        Where they are kept; one of its own by default.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.counted("late", 3)
    >>> metrics.registry.get_sample_value("stream_ad_readings_unused_total", {"reason": "late"})
    3.0
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._open: dict[str, str] = {}  # severity by incident
        self._told: set[int] = set()  # partitions
        self._newest: dict[int, int] = {}  # event time by partition
        self._hop_s: float | None = None
        self._scored = self._process_incidents = 0
        self._reasons: dict[Counter, set[str]] = {}
        self._series = Series(self.registry)
        self._show_open()

    def polled(
        self,
        partition: int,
        records: int,
        lag_records: int,
        newest_event_ns: int | None = None,
        now: float | None = None,
    ) -> None:
        """Tell how a partition stands after a poll, also when it gave nothing.

        Parameters
        ----------
        partition : int
        records : int
            Records that this poll returned.
        lag_records : int
            Records between the position and the end of the partition.
        newest_event_ns : int, optional
            Newest event time accepted so far, in ns; None keeps the last one told.
        now : float, optional
            Seconds since the epoch; the system's clock by default.
        """
        name = str(partition)
        self._told.add(partition)
        self._series.records.labels(name).inc(records)
        self._series.lag.labels(name).set(max(lag_records, 0))
        if newest_event_ns is not None:
            self._newest[partition] = newest_event_ns
        newest = self._newest.get(partition)
        if newest is not None:
            self._series.event_lag.labels(name).set(
                (time.time() if now is None else now) - newest / 1e9
            )

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop the lag of partitions that somebody else reads now."""
        for partition in self._told & set(partitions):
            self._told.remove(partition)
            self._series.lag.remove(str(partition))
            if self._newest.pop(partition, None) is not None:
                self._series.event_lag.remove(str(partition))

    def counted(self, reason: str, n: int) -> None:
        """Add to whatever a reason stands for: unused readings, windows not scored, masked cells.

        Totals that are told otherwise (``records``, ``windows``, ``scored``) are passed over, so
        that the counts of a machine or a batch can be handed on as they are.
        """
        if not n or reason in TOLD_ELSEWHERE:
            return
        if reason == "line_moved":
            self._series.line_moves.inc(n)
            return
        if reason == "muted":
            self._series.muted.inc(n)
            self._scored -= n  # no alarm can come in their time
            return
        if reason in UNUSED:
            counter = self._series.unused
        else:
            counter = self._series.not_scored if reason in NOT_SCORED else self._series.remarks
        self._bounded(counter, reason).inc(n)

    def delivered(self, outputs: Outputs, seconds: float, waited: Iterable[float] = ()) -> None:
        """Tell of a transaction that was committed.

        Parameters
        ----------
        outputs : Outputs
            What it held.
        seconds : float
            From its begin to its commit.
        waited : iterable of float
            For each poll whose records it held, seconds from that poll to the commit.
        """
        self._series.committed.inc()
        self._series.transaction.observe(seconds)
        for wait in waited:
            self._series.latency.observe(wait)
        self._series.windows.inc(len(outputs.scores))
        self._scored += len(outputs.scores)
        for reason, n in Tally(letter.error_class for letter in outputs.dead).items():
            self._bounded(self._series.dead, reason).inc(n)
        for told in outputs.incidents:
            event = told.event
            self._series.events.labels(event.kind, event.severity, event.event).inc()
            self._process_incidents += event.kind == "process" and event.event == "opened"
            if event.event == "closed":
                self._open.pop(event.incident_id, None)
            else:
                self._open[event.incident_id] = event.severity
        if outputs.incidents:
            self._show_open()
        self._show_budget()

    def aborted(self) -> None:
        """Tell of a transaction that came to nothing."""
        self._series.aborted.inc()

    def incidents_open(self, severities: Mapping[str, str]) -> None:
        """Set what is open, after each change of the assignment.

        Parameters
        ----------
        severities : mapping of str
            Severity by incident id, of all incidents that were told and are open among the
            machines this worker now holds.
        """
        self._open = dict(severities)
        self._show_open()

    def rebalanced(self, assigned: int) -> None:
        """Tell of a change of the assignment and how many partitions there are now."""
        self._series.rebalances.inc()
        self._series.partitions.set(assigned)

    def restored(self, seconds: float) -> None:
        """Tell how long it took to read the states of partitions taken over."""
        self._series.restore.observe(seconds)

    def machines(self, n: int) -> None:
        """Set how many machines this worker holds."""
        self._series.machines.set(n)

    def line_offset(self, highest: float) -> None:
        """Set how far the alarm line of any machine of this worker stands from its model's."""
        self._series.line_offset.set(highest)

    def two_partitions(self, n: int) -> None:
        """Set how many machines are seen on two partitions."""
        self._series.two_partitions.set(n)

    def model(self, group: str, version: int, since_ns: int, promotion: int = 0) -> None:
        """Set which version scores a group, since which event time in ns, by which promotion."""
        self._series.version.labels(group).set(version)
        self._series.promotion.labels(group).set(promotion)
        self._series.age.labels(group).set_function(lambda: time.time() - since_ns / NS)

    def promoted(self, n: int) -> None:
        """Tell of promotions that came while the worker ran."""
        self._series.promotions.inc(n)

    def promotions_waiting(self, n: int) -> None:
        """Set how many promotions were announced and are not loaded yet; from any thread."""
        self._series.waiting.set(n)

    def load_failed(self) -> None:
        """Tell of a try to load a promoted detector that came to nothing; from any thread."""
        self._series.load_failures.inc()

    def budget(self, asked: float, hop_s: float) -> None:
        """Set the alarm budget; what is achieved follows from what is delivered.

        Parameters
        ----------
        asked : float
            ``alarm.budget_per_machine_day``.
        hop_s : float
            Scored time that one window stands for, in seconds.
        """
        self._series.asked.set(asked)
        self._hop_s = hop_s

    def _bounded(self, counter: Counter, reason: str) -> Counter:
        known = self._reasons.setdefault(counter, set())
        if len(known) < MOST_REASONS:
            known.add(reason)
        return counter.labels(reason if reason in known else "other")

    def _show_open(self) -> None:
        by_severity = Tally(self._open.values())
        for severity in get_args(Severity):
            self._series.incidents.labels(severity).set(by_severity[severity])

    def _show_budget(self) -> None:
        if self._hop_s is not None:
            days = self._scored * self._hop_s / DAY_S
            if days >= 1:  # before, one incident more or less decides the figure
                self._series.achieved.set(self._process_incidents / days)
