"""The time series of a worker: names, labels and what they mean."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

NAMESPACE = "stream_ad"
QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SLOW = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
UNKNOWN = float("nan")


class Series:
    """All of them, in one registry.

    Parameters
    ----------
    registry : CollectorRegistry
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        ProcessCollector(registry=registry)
        self._define_input()
        self._define_outputs()
        self._define_worker()

    def _define_input(self) -> None:
        counter, gauge = self._counter, self._gauge
        self.records = counter("records", "Records read.", "partition")
        self.lag = gauge(
            "consumer_lag_records", "Records between position and end of a partition.", "partition"
        )
        self.event_lag = gauge(
            "consumer_lag_seconds",
            "Clock less the newest event time; grows too while a partition receives nothing.",
            "partition",
        )
        self.dead = counter("dead_letters", "Records that could not be used.", "reason")
        self.unused = counter(
            "readings_unused", "Good records that came late, twice or from afar.", "reason"
        )
        self.remarks = counter("input_remarks", "Masked cells and guessed times.", "reason")
        self.two_partitions = gauge("machines_in_two_partitions", "Machines on two partitions.")

    def _define_outputs(self) -> None:
        counter, gauge = self._counter, self._gauge
        self.windows = counter("windows_scored", "Windows scored.")
        self.muted = counter("windows_muted", "Windows scored that may raise no alarm.")
        self.not_scored = counter("windows_not_scored", "Windows that got no score.", "reason")
        self.events = counter("incident_events", "Incident events.", "kind", "severity", "event")
        self.incidents = gauge("incidents_open", "Incidents open now.", "severity")
        self.latency = self._histogram(
            "score_latency_seconds", "From the poll of records to the commit of theirs.", QUICK
        )
        self.line_offset = gauge(
            "line_offset_max", "How far the alarm line that moved most stands from its model's."
        )
        self.line_moves = counter("line_moves", "Moves of alarm lines by drift.report.")
        self.asked = gauge("alarm_budget_per_machine_day", "False alarms allowed.")
        self.achieved = gauge(
            "process_incidents_per_machine_day",
            "Process incidents per day of scored time that is not muted, since start; none before "
            "a whole day.",
        )
        self.achieved.set(UNKNOWN)

    def _define_worker(self) -> None:
        counter, gauge = self._counter, self._gauge
        self.committed = counter("transactions_committed", "Transactions committed.")
        self.aborted = counter("transactions_aborted", "Transactions aborted or lost.")
        self.transaction = self._histogram("transaction_seconds", "Begin to commit.", QUICK)
        self.rebalances = counter("rebalances", "Changes of the assignment.")
        self.partitions = gauge("partitions_assigned", "Partitions of this worker.")
        self.restore = self._histogram("restore_seconds", "Reading states taken over.", SLOW)
        self.machines = gauge("machines", "Machines of this worker.")
        group = "machine_group"
        self.version = gauge("model_version", "Version of the model that scores.", group)
        self.age = gauge(
            "model_age_seconds", "Clock less the event time from which on it scores.", group
        )
        self.promotion = gauge("model_promotion", "Promotion that made it score.", group)
        self.promotions = counter("model_promotions", "Promotions that came while it ran.")
        self.waiting = gauge(
            "model_promotions_waiting", "Promotions that were announced and are not loaded yet."
        )
        self.load_failures = counter(
            "model_load_failures", "Tries to load a promoted detector that came to nothing."
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=NAMESPACE, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=NAMESPACE, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, namespace=NAMESPACE, buckets=buckets, registry=self._registry)
