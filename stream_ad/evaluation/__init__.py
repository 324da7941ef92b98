"""What a labelled recording says about scores, alarms and incidents. numpy only."""

from __future__ import annotations

from stream_ad.evaluation.events import (
    Event,
    EventMetrics,
    IncidentSpan,
    event_metrics,
    labelled_events,
    scored_days,
)
from stream_ad.evaluation.metrics import AtLine, at_line, auc_pr, auc_roc
from stream_ad.evaluation.rows import rows_from_windows
from stream_ad.evaluation.vus import default_buffer, vus_pr

__all__ = [
    "AtLine",
    "Event",
    "EventMetrics",
    "IncidentSpan",
    "at_line",
    "auc_pr",
    "auc_roc",
    "default_buffer",
    "event_metrics",
    "labelled_events",
    "rows_from_windows",
    "scored_days",
    "vus_pr",
]
