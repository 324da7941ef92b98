"""The head of the page: the run in a sentence, its budget, and the figures that matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stream_ad.report.case import RANK, SHAPE, Case
from stream_ad.report.markup import Html, escape, join, name_of, tag
from stream_ad.report.phrases import count, duration, moment, number
from stream_ad.report.tables import figure
from stream_ad.report.views import Timeline

MOST_NAMES: Final = 5
NOT_SCORED: Final = ("not_scored", "too_much_missing", "no_model")


def header(
    title: str,
    metrics: Mapping[str, Any],
    timelines: Sequence[Timeline],
    told: Sequence[Case],
    quiet: Sequence[Case],
) -> Html:
    """Return title, verdict, budget and tiles."""
    return tag(
        "header",
        tag("h1", title),
        tag("p", _verdict(timelines, told, quiet), class_="verdict"),
        _budget(part(metrics, "budget"), timelines),
        tag("ul", *_tiles(metrics, timelines, told, quiet), class_="tiles"),
    )


def part(metrics: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a named part of the metrics, empty where the run has none."""
    found = metrics.get(name)
    return found if isinstance(found, Mapping) else {}


def _verdict(timelines: Sequence[Timeline], told: Sequence[Case], quiet: Sequence[Case]) -> Html:
    scored = sum(len(t.time) > 0 for t in timelines)
    if not told:
        return _nothing(timelines, quiet)
    names = list(dict.fromkeys(case.event.machine_id for case in told))
    of = f" of {number(scored)}" if scored > len(names) else ""
    listed = join((name_of(name) for name in names[:MOST_NAMES]), ", ")
    more = f" and {number(len(names) - MOST_NAMES)} more" if len(names) > MOST_NAMES else ""
    machines = "machine" if len(names) == 1 and not of else "machines"
    head = f"{count(len(told), 'incident')} on {number(len(names))}{of} {machines} ("
    return join([head, listed, more, "). ", _worst(told[0])])


def _nothing(timelines: Sequence[Timeline], quiet: Sequence[Case]) -> Html:
    scored = [t.machine_id for t in timelines if len(t.time)]
    if not scored:
        return escape("No window was scored.")
    where = name_of(scored[0]) if len(scored) == 1 else f"any of {count(len(scored), 'machine')}"
    but = f", but {count(len(quiet), 'data-quality incident')}" if quiet else ""
    return join(["No incidents on ", where, but, "."])


def _worst(case: Case) -> Html:
    event = case.event
    led = join([", led by ", name_of(case.sensors[0].name)]) if case.sensors else None
    return join([
        "The worst is ", tag("a", event.severity, href=f"#{case.anchor}"), ": ",
        name_of(event.machine_id), ", ", moment(case.start), " UTC, for ",
        duration(case.end - case.start), led, ".",
    ])  # fmt: skip


def _budget(budget: Mapping[str, Any], timelines: Sequence[Timeline]) -> Html | None:
    asked = figure(budget.get("asked_per_machine_day"))
    achieved = figure(budget.get("achieved_per_machine_day"))
    if asked is None and achieved is None:
        return None
    said: list[str] = []
    if asked is not None:
        said.append(f"Asked: at most {count_of(asked)} per machine and day.")
    if achieved is not None:
        said.append(f"Achieved: {number(achieved, 3)}{_judged(asked, achieved)}.")
        if not any(t.label_spans for t in timelines):
            said.append("Without labelled anomalies every incident counts as a false alarm.")
    said.extend(_unsupported(budget))
    style = "budget unsupported" if budget.get("supported") is False else "budget"
    return tag("p", " ".join(said), class_=style)


def count_of(rate: float) -> str:
    """Write a rate of false alarms.

    Examples
    --------
    >>> count_of(1.0), count_of(0.25)
    ('1 false alarm', '0.25 false alarms')
    """
    return f"{number(rate, 2)} false alarm{'' if rate == 1 else 's'}"


def _judged(asked: float | None, achieved: float) -> str:
    if asked is None:
        return ""
    return ", within the budget" if achieved <= asked else ", over the budget"


def _unsupported(budget: Mapping[str, Any]) -> list[str]:
    if budget.get("supported") is not False:
        return []
    said = ["The history is too short for this budget."]
    tightest = figure(budget.get("supported_per_machine_day"))
    needed = figure(budget.get("needed_days"))
    if tightest is not None:
        said.append(f"The tightest it supports is {number(tightest, 2)} per machine and day.")
    held_out = figure(budget.get("calibration_machine_days"))
    if needed is not None:
        of = f" instead of {number(held_out, 2)}" if held_out is not None else ""
        said.append(
            f"It would take about {number(needed, 2)}{of} machine-days of normal operation "
            "to set the line."
        )
    return said


def _tiles(
    metrics: Mapping[str, Any],
    timelines: Sequence[Timeline],
    told: Sequence[Case],
    quiet: Sequence[Case],
) -> list[Html]:
    windows, budget, events = (part(metrics, name) for name in ("windows", "budget", "events"))
    severities: Counter[str] = Counter(case.event.severity for case in told)
    split = [f"{SHAPE[s]} {severities[s]} {s}" for s in reversed(RANK) if severities[s]]
    scored = figure(windows.get("scored"))
    not_scored = sum(figure(windows.get(key)) or 0.0 for key in NOT_SCORED)
    affected = len({case.event.machine_id for case in told})
    machines = max(len(timelines), affected)
    tiles = [
        _tile(number(len(told)), "incidents", ", ".join(split)),
        _tile(f"{number(affected)} of {number(machines)}", "machines with incidents"),
        _tile(
            number(scored if scored is not None else sum(len(t.time) for t in timelines)),
            "windows scored",
            f"{number(not_scored)} not scored" if not_scored else "",
        ),
        _rate_tile(budget),
        _found_tile(events),
        _tile(number(len(quiet)), "data-quality incidents") if quiet else None,
    ]
    return [tile for tile in tiles if tile is not None]


def _tile(value: str, name: str, more: str = "") -> Html:
    small = tag("small", more) if more else None
    return tag("li", tag("strong", value), tag("span", name), small)


def _rate_tile(budget: Mapping[str, Any]) -> Html | None:
    asked = figure(budget.get("asked_per_machine_day"))
    achieved = figure(budget.get("achieved_per_machine_day"))
    if achieved is None:
        return None
    more = f"{number(asked, 2)} asked" if asked is not None else ""
    return _tile(number(achieved, 3), "false alarms per machine and day", more)


def _found_tile(events: Mapping[str, Any]) -> Html | None:
    found, of = figure(events.get("found")), figure(events.get("events"))
    delay = figure(events.get("median_delay_s"))
    if found is None or not of:
        return None
    more = f"median delay {duration(round(delay * 1e9))}" if delay is not None else ""
    return _tile(f"{number(found)} of {number(of)}", "labelled anomalies found", more)
