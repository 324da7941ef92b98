"""The page as a whole: sections in reading order, styles and script within it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from stream_ad.errors import OutputError
from stream_ad.report.case import cases, quiet_cases
from stream_ad.report.figures import counted_section, making_section, metrics_section
from stream_ad.report.incidents import incidents_section, quiet_section
from stream_ad.report.markup import Html, tag
from stream_ad.report.timelines import timelines_section
from stream_ad.report.trainings import trainings_section
from stream_ad.report.verdict import header
from stream_ad.report.views import IncidentView, Timeline

_SECTIONS: Final = {
    "timelines": "Timelines",
    "incidents": "Incidents",
    "data-quality": "Data quality",
    "metrics": "Metrics",
    "trainings": "Trainings",
    "counted": "Counted",
    "making": "How this was made",
}


def write_report(
    path: Path,
    *,
    title: str,
    metrics: Mapping[str, Any],
    timelines: Sequence[Timeline],
    incidents: Sequence[IncidentView],
    notes: Sequence[str],
) -> None:
    """Write the report of a finished run as one HTML file that needs nothing else.

    The same input gives the same bytes. Timelines are thinned to the highest score per bin,
    at most 4,000 points per machine; 20 machines and 50 incidents are drawn, and the page
    says how many are not. Works badly for hundreds of incidents: the cards then show the
    worst only, and the table lists 500.

    Parameters
    ----------
    path : Path
        Where; a file that stands there is replaced as a whole or not at all.
    title : str
        Heading of the page.
    metrics : mapping
        What of this the run has: ``budget`` {``asked_per_machine_day``,
        ``achieved_per_machine_day``, ``supported``, ``supported_per_machine_day``,
        ``needed_days`` and ``calibration_machine_days``, both machine-days held out};
        ``windows`` and ``counts``, by name; ``ranking``, ``at_line`` and ``events``, by
        metric; ``baselines``, by name the same four, budget first; ``model``, ``config`` and
        ``versions``, trees of plain values; ``trainings``, a record of each:
        ``version``, ``effective_from``, ``windows``, ``from``, ``to``, ``left_out`` by reason,
        or else ``at`` and ``failed``.
    timelines : sequence of Timeline
        One per machine.
    incidents : sequence of IncidentView
        One per incident.
    notes : sequence of str
        Sentences about the run, such as where its settings came from.

    Raises
    ------
    OutputError
        When the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "report.html"
    ...     write_report(path, title="Run", metrics={}, timelines=[], incidents=[], notes=[])
    ...     print(path.read_text()[:15])
    <!DOCTYPE html>
    """
    text = page(title, metrics, timelines, incidents, notes)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(text.encode())
        part.replace(path)
    except OSError as cause:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise OutputError(f"{path}: the report cannot be written: {cause.strerror}") from cause


def page(
    title: str,
    metrics: Mapping[str, Any],
    timelines: Sequence[Timeline],
    views: Sequence[IncidentView],
    notes: Sequence[str],
) -> str:
    """Return the page as text; see :func:`write_report`."""
    told, quiet = cases(views, timelines), quiet_cases(views, timelines)
    sections = {
        "timelines": timelines_section(timelines, told, quiet),
        "incidents": incidents_section(told),
        "data-quality": quiet_section(quiet),
        "metrics": metrics_section(metrics),
        "trainings": trainings_section(metrics),
        "counted": counted_section(metrics),
        "making": making_section(metrics, notes),
    }
    links = (tag("a", _SECTIONS[key], href=f"#{key}") for key, part in sections.items() if part)
    body = tag(
        "body",
        header(title, metrics, timelines, told, quiet),
        tag("nav", *links, aria_label="Sections"),
        tag("main", *sections.values()),
        tag("script", _script()),
    )
    return f"<!DOCTYPE html>\n{tag('html', _head(title), body, lang='en')}\n"


def _head(title: str) -> Html:
    digest = base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()
    # nothing is loaded, and no script runs but the one above: not even one hidden in the data
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", _file("page.css")),
    )


def _script() -> Html:
    return Html("\n".join(_file(f"{name}.js") for name in ("axes", "chart", "pointer")))


def _file(name: str) -> Html:
    return Html(files("stream_ad.report").joinpath(name).read_text(encoding="utf-8"))
