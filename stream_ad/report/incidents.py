"""The section of incidents: a table of all, then a card each for the most severe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from stream_ad.report.card import badge, card
from stream_ad.report.case import KIND, Case
from stream_ad.report.markup import Html, name_of, tag
from stream_ad.report.phrases import ABSENT, count, duration, moment, number, percent
from stream_ad.report.tables import table

MOST_CARDS: Final = 50
MOST_ROWS: Final = 500
FEW: Final = 3  # so few need no table before their cards


def incidents_section(told: Sequence[Case]) -> Html:
    """Return the incidents of the machines, the most severe first."""
    return tag(
        "section",
        tag("h2", "Incidents"),
        None if told else tag("p", "No incident opened.", class_="hint"),
        _overview(told) if len(told) > FEW else None,
        *(card(case) for case in told[:MOST_CARDS]),
        _more(len(told) - MOST_CARDS, "less severe incident has", "less severe incidents have")
        if len(told) > MOST_CARDS
        else None,
        id="incidents",
    )


def quiet_section(quiet: Sequence[Case]) -> Html | None:
    """Return the incidents of the data rather than of the machine, briefly."""
    if not quiet:
        return None
    rows = (_quiet_row(case) for case in quiet[:MOST_ROWS])
    heads = ["Machine", "Kind", "From", "Lasted", "Sensors", "Missing cells", "Incident"]
    return tag(
        "section",
        tag("h2", "Data quality"),
        tag("p", "Faults of sensors and of transmission, kept apart from the machine's own."),
        table(heads, rows, numeric={3, 5}),
        _not_listed(quiet),
        id="data-quality",
        class_="quiet",
    )


def _more(n: int, one: str, many: str) -> Html:
    return tag("p", f"{count(n, one, many)} no card of their own; the table lists them.")


def _not_listed(listed: Sequence[Case]) -> Html | None:
    rest = len(listed) - MOST_ROWS
    return tag("p", f"{count(rest, 'more')} not listed.", class_="hint") if rest > 0 else None


def _overview(told: Sequence[Case]) -> Html:
    known = any(case.labelled is not None for case in told)
    heads = ["No.", "Severity", "Machine", "From", "Lasted", "Score", "Leading sensor"]
    rows = (_row(i, case, known) for i, case in enumerate(told[:MOST_ROWS]))
    head = [*heads, "Label"] if known else heads
    return Html(table(head, rows, numeric={0, 4, 5}) + (_not_listed(told) or ""))


def _row(place: int, case: Case, known: bool) -> Html:
    event = case.event
    link = tag("a", str(case.number), href=f"#{case.anchor}") if place < MOST_CARDS else None
    first = case.sensors[0] if case.sensors else None
    cells: Iterable[str | None] = [
        link or str(case.number),
        badge(event),
        name_of(event.machine_id),
        moment(case.start),
        f"{duration(case.end - case.start)}{', open' if case.open else ''}",
        number(event.score, 3),
        Html(f"{name_of(first.name)} {percent(first.share)}") if first else ABSENT,
        *([_label(case)] if known else []),
    ]
    anchor = None if place < MOST_CARDS else case.anchor
    return tag("tr", *(tag("td", cell) for cell in cells), id=anchor)


def _label(case: Case) -> str:
    return "labelled" if case.labelled else "not labelled"


def _quiet_row(case: Case) -> Html:
    event = case.event
    names = Html(", ".join(name_of(sensor.name) for sensor in case.sensors[:5]))
    cells = [
        name_of(event.machine_id),
        KIND[event.kind],
        moment(case.start),
        f"{duration(case.end - case.start)}{', open' if case.open else ''}",
        names or ABSENT,
        percent(event.missing_share),
        tag("code", event.incident_id),
    ]
    return tag("tr", *(tag("td", cell) for cell in cells), id=case.anchor)
