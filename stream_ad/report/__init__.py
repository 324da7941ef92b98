"""The report of a finished run: one page that needs no network, no server and no script.

Every chart is drawn as SVG when the page is written, so it prints and opens anywhere; a
small script adds hovering and zooming where scripts run.
"""

from __future__ import annotations

from stream_ad.report.page import write_report
from stream_ad.report.views import IncidentView, Timeline, Trace

__all__ = ["IncidentView", "Timeline", "Trace", "write_report"]
