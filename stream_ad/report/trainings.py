"""The section of refits: which versions scored from when on, and what they learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from stream_ad.report.markup import Html, tag
from stream_ad.report.phrases import ABSENT, count, moment, number
from stream_ad.report.tables import table
from stream_ad.windows.spec import parse_rfc3339

MOST_ROWS: Final = 500
_HEADS: Final = ("Version", "Scores from", "Learned from", "Until", "Windows", "Left out so far")


def refits_section(metrics: Mapping[str, Any]) -> Html | None:
    """Return one row for each refit that was tried; None where none was to be.

    Examples
    --------
    >>> refits_section({"refits": []})
    '<section id="refits"><h2>Refits</h2><p>In this stream no refit was due.</p></section>'
    """
    tried: Sequence[Mapping[str, Any]] | None = metrics.get("refits")
    if tried is None:
        return None
    made = sum("version" in one for one in tried)
    said = f"{count(made, 'time')} the detector was fitted anew on the newest windows."
    return tag(
        "section",
        tag("h2", "Refits"),
        tag("p", said if tried else "In this stream no refit was due."),
        table(_HEADS, map(_row, tried[:MOST_ROWS]), numeric={4, 5}) if tried else None,
        tag("p", f"{count(len(tried) - MOST_ROWS, 'more')} not listed.", class_="hint")
        if len(tried) > MOST_ROWS
        else None,
        id="refits",
    )


def _row(one: Mapping[str, Any]) -> Html:
    if "version" not in one:
        why = tag("td", "none: ", str(one["failed"]), colspan=len(_HEADS) - 2)
        return tag("tr", tag("td", ABSENT), tag("td", _moment(one["at"])), why)
    cells = [
        number(one["version"]),
        *(_moment(one[key]) for key in ("effective_from", "from", "to")),
        number(one["windows"]),
        number(sum(one["left_out"].values())),
    ]
    return tag("tr", *(tag("td", cell) for cell in cells))


def _moment(text: str) -> Html:
    return moment(parse_rfc3339(text) // 10**9 * 10**9)  # the nanosecond after is not worth a line
