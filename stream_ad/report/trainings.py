"""The section of trainings: what was trained why, what the gate said, and who scored from when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from stream_ad.report.markup import Html, tag
from stream_ad.report.phrases import ABSENT, count, moment, number
from stream_ad.report.tables import table
from stream_ad.windows.spec import parse_rfc3339

MOST_ROWS: Final = 500
_HEADS: Final = ("At", "Cause", "Windows", "Version", "Scores from", "The gate")


def trainings_section(metrics: Mapping[str, Any]) -> Html | None:
    """Return one row for each training; None where none was to be.

    Examples
    --------
    >>> trainings_section({"trainings": []})
    '<section id="trainings"><h2>Trainings</h2><p>In this stream none was due.</p></section>'
    """
    tried: Sequence[Mapping[str, Any]] | None = metrics.get("trainings")
    if tried is None:
        return None
    made = sum("version" in one for one in tried)
    said = (
        f"{count(len(tried), 'time')} the detector was trained anew; {made:,} of them scored from "
        "then on, the others changed nothing."
    )
    return tag(
        "section",
        tag("h2", "Trainings"),
        tag("p", said if tried else "In this stream none was due."),
        table(_HEADS, map(_row, tried[:MOST_ROWS]), numeric={2, 3}) if tried else None,
        tag("p", f"{count(len(tried) - MOST_ROWS, 'more')} not listed.", class_="hint")
        if len(tried) > MOST_ROWS
        else None,
        id="trainings",
    )


def _row(one: Mapping[str, Any]) -> Html:
    promoted = "version" in one
    why = one.get("failed") or one.get("refused") or one.get("gate", {}).get("sentence", "")
    cells = [
        _moment(one["at"]),
        str(one["cause"]),
        number(one["windows"]) if "windows" in one else ABSENT,
        number(one["version"]) if promoted else ABSENT,
        _moment(one["effective_from"]) if promoted else ABSENT,
        str(why),
    ]
    return tag("tr", *(tag("td", cell) for cell in cells))


def _moment(text: str) -> Html:
    return moment(parse_rfc3339(text) // 10**9 * 10**9)  # the nanosecond after is not worth a line
