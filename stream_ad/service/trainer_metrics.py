"""What a trainer counts, as Prometheus reads it; ``group`` is the machine group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from stream_ad.service.series import NAMESPACE, UNKNOWN


class TrainerMetrics:
    """The figures of one trainer.

    Parameters
    ----------
    registry : CollectorRegistry, optional
        Where they are kept; one of its own by default.

    Examples
    --------
    >>> metrics = TrainerMetrics()
    >>> metrics.trained("default", "windows", "refused", 2.5)
    >>> metrics.registry.get_sample_value("stream_ad_trainings_total",
    ...     {"group": "default", "cause": "windows", "outcome": "refused"})
    1.0
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        counter, gauge = self._counter, self._gauge
        self._leads = gauge("trainer_leads", "1 for the trainer that works, 0 for one that waits.")
        self._records = gauge("trainer_records", "Records taken in since the start.")
        self._lag = gauge("trainer_lag_records", "Records scored and not learned from yet.")
        self._have = gauge("training_windows", "Windows taken to learn from, so far.", "group")
        self._need = gauge("training_windows_needed", "That the first training needs.", "group")
        self._left = gauge(
            "training_seconds_left", "Event time until they are there, about.", "group"
        )
        self._version = gauge("trainer_model_version", "Version that was promoted last.", "group")
        self._seconds = gauge("training_seconds", "Of the last training, gate and all.", "group")
        self._trainings = counter("trainings", "Trainings.", "group", "cause", "outcome")
        self._troubles = counter("trainer_troubles", "What went wrong and is tried again.", "kind")

    def leads(self, leads: bool) -> None:
        """Set whether this trainer works."""
        self._leads.set(leads)

    def intake(self, records: int, lag: int) -> None:
        """Set how many records were taken in, and how many the service has scored besides."""
        self._records.set(records)
        self._lag.set(lag)

    def progress(self, group: str, progress: Mapping[str, Any]) -> None:
        """Set how far a group's buffer is; as of `Retraining.progress_of`."""
        left = progress["seconds_left"]
        self._have.labels(group).set(progress["windows"])
        self._need.labels(group).set(progress["needed"])
        self._left.labels(group).set(UNKNOWN if left is None else left)

    def promoted(self, group: str, version: int) -> None:
        """Set the version that was promoted last."""
        self._version.labels(group).set(version)

    def trained(self, group: str, cause: str, outcome: str, seconds: float) -> None:
        """Tell of a training: ``promoted``, ``refused`` by the gate, or ``failed``."""
        self._trainings.labels(group, cause, outcome).inc()
        self._seconds.labels(group).set(seconds)

    def trouble(self, kind: str) -> None:
        """Tell of something that went wrong and is tried again."""
        self._troubles.labels(kind).inc()

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=NAMESPACE, registry=self.registry)
