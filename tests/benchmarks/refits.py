"""Whether it helps to fit anew on the way: the default detector on the recorded streams.

Every stream goes through the loop of a replay, once without refits and once for each distance
between them; everything else is default. No baseline and no seed: nothing in it is random.
Nothing is chosen by test labels but the one thing that the page is about: whether
``training.every_windows`` should be null, and for that the sign of the differences is enough.
"""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from stream_ad.errors import InputError
from stream_ad.evaluation.judgement import judge_run, spans_of
from tests.benchmarks.measuring import DEFAULT, settings
from tests.benchmarks.recordings import FAMILIES, Recording, load
from tests.benchmarks.refitting import Learned, Refitted
from tests.benchmarks.streams_page import commit
from tests.benchmarks.streams_table import mean
from tests.benchmarks.table import Figure, Grid, conclude, options, show

EVERY = (300, 1_000)  # scored windows
SEED = 101
QUICK_ROWS = 300, 1_200  # of history, of test
NEVER = "never"
OVERALL = "mean over families"

Figures = dict[str, float | None]


class Measure(NamedTuple):
    """A column: its key, its heading, its format."""

    key: str
    heading: str
    form: str


MEASURES = (
    Measure("auc_pr", "AUC-PR", ".3f"),
    Measure("f1", "F1", ".3f"),
    Measure("false_alarm_rows", "false rows", ".1%"),
    Measure("missed_rows", "missed rows", ".1%"),
    Measure("event_recall", "event recall", ".1%"),
    Measure("delay_windows", "delay", ".1f"),
    Measure("false_per_day", "false/day", ".1f"),
    Measure("drift", "drift incidents", ".2f"),
    Measure("refits", "refits", ".1f"),
    Measure("failed", "failed", ".1f"),
)


class Row(NamedTuple):
    """What a stream came to under one distance between refits."""

    family: str
    stream: str
    every: str
    figures: Figures


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    arguments = _arguments(argv)
    began, code = time.monotonic(), commit()
    try:
        recordings = _recordings(arguments)
    except InputError as error:
        print(f"missed: {error}")
        return 1
    rows = _measure(recordings, arguments.every, arguments.jobs)
    table = means(rows)
    grids = [*tables(table), differences(table)]
    for grid in grids:
        show(grid)
    minutes = (time.monotonic() - began) / 60
    if arguments.markdown is not None:
        text = _page(grids, _verdict(table), arguments, code, minutes)
        arguments.markdown.write_text(text, encoding="utf-8")
    figures = [
        Figure("streams", len(recordings)),
        *(Figure(f"{every}.{key}", _number(found[key])) for every, key, found in _overall(table)),
        Figure("minutes", minutes),
    ]
    return conclude(figures, arguments)


def measure(recording: Recording, every: Sequence[int]) -> list[Row]:
    """Carry a recording through the path, without refits and with each distance."""
    learned = Learned.of(recording, settings(recording, DEFAULT, SEED), rows=recording.history)
    return [
        Row(
            recording.family,
            recording.name,
            NEVER if distance is None else f"{distance}",
            _figures(recording, learned, learned.carry(recording, distance)),
        )
        for distance in (None, *every)
    ]


def _figures(recording: Recording, learned: Learned, refitted: Refitted) -> Figures:
    run, asked = refitted.run, learned.config.alarm.budget_per_machine_day
    until, spans = learned.history.until, spans_of(run.events)
    record = judge_run(recording.rows(), run.scored, spans, learned.spec, until, asked)
    line, events = record["at_line"], record["events"]
    opened = [event.kind for event in run.events if event.event == "opened"]
    return {
        "auc_pr": record["ranking"]["auc_pr"],
        "f1": line["f1"],
        "false_alarm_rows": line["false_alarm_rate"],
        "missed_rows": line["missed_alarm_rate"],
        "event_recall": events["event_recall"],
        "delay_windows": events["median_delay_windows"],
        "false_per_day": events["false_alarms_per_machine_day"],
        "drift": float(opened.count("drift")),
        "refits": float(refitted.made),
        "failed": float(len(refitted.tried) - refitted.made),
    }


def means(rows: Sequence[Row]) -> dict[tuple[str, str], Figures]:
    """Return the figures by family and distance: means over streams; then over families."""
    table: dict[tuple[str, str], Figures] = {}
    families = list(dict.fromkeys(row.family for row in rows))
    distances = list(dict.fromkeys(row.every for row in rows))
    for every in distances:
        for family in families:
            own = [r.figures for r in rows if (r.family, r.every) == (family, every)]
            table[family, every] = {m.key: mean(f[m.key] for f in own) for m in MEASURES}
        parts = [table[family, every] for family in families]
        table[OVERALL, every] = {m.key: mean(part[m.key] for part in parts) for m in MEASURES}
    return table


def tables(table: Mapping[tuple[str, str], Figures]) -> Iterator[Grid]:
    """Yield a table for each family and one of their mean, distances side by side."""
    for section in dict.fromkeys(section for section, _ in table):
        rows = [
            [every, *(_text(figures[m.key], m.form) for m in MEASURES)]
            for (own, every), figures in table.items()
            if own == section
        ]
        yield Grid(section, ["refitted after", *(m.heading for m in MEASURES)], rows)


def differences(table: Mapping[tuple[str, str], Figures]) -> Grid:
    """Return what each distance changes, in AUC-PR and F1, family by family."""
    sections = list(dict.fromkeys(section for section, _ in table))
    rows = []
    for every in dict.fromkeys(every for _, every in table if every != NEVER):
        for key, name in (("auc_pr", "AUC-PR"), ("f1", "F1")):
            cells = (
                _number(table[s, every][key]) - _number(table[s, NEVER][key]) for s in sections
            )
            rows.append([f"{name}, after {every}", *(f"{cell:+.3f}" for cell in cells)])
    return Grid("Against no refits", ["", *sections], rows)


def _overall(table: Mapping[tuple[str, str], Figures]) -> Iterator[tuple[str, str, Figures]]:
    for (section, every), figures in table.items():
        if section == OVERALL:
            for m in MEASURES:
                yield every, m.key, figures


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _measure(recordings: Sequence[Recording], every: Sequence[int], jobs: int) -> list[Row]:
    if jobs == 1:
        return [row for recording in recordings for row in _told(measure(recording, every))]
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # processes are the threads here
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        found = pool.map(partial(measure, every=every), recordings)
        return [row for rows in found for row in _told(rows)]


def _told(rows: list[Row]) -> list[Row]:
    said = ", ".join(f"{r.every} {_text(r.figures['f1'], '.3f')}" for r in rows)
    print(f"{rows[0].family}/{rows[0].stream}: F1 {said}", file=sys.stderr, flush=True)
    return rows


def _recordings(arguments: Namespace) -> list[Recording]:
    found = [r for f in arguments.families for r in load(f, arguments.data, arguments.streams)]
    return [r.shortened(*QUICK_ROWS) for r in found] if arguments.quick else found


def _verdict(table: Mapping[tuple[str, str], Figures]) -> str:
    """Say which distances are better than none, by mean F1."""
    f1 = {every: _number(f["f1"]) for (section, every), f in table.items() if section == OVERALL}
    better = [every for every in f1 if f1[every] > f1[NEVER]]
    if better:
        return f"By mean F1 refits after {', '.join(better)} windows are better than none."
    return (
        "No distance is better than none by mean F1, so `training.every_windows` is null by "
        "default: what a refit learns besides the machine's new normal is the fault that nobody "
        "has told of yet, and a line that allows for all that drifted lies higher."
    )


def _page(
    grids: Sequence[Grid], verdict: str, arguments: Namespace, code: str, minutes: float
) -> str:
    every = ", ".join(map(str, arguments.every))
    families = ",".join(arguments.families)
    some = "" if arguments.families == list(FAMILIES) else f" --families {families}"
    made = [
        f"- command: `python -m tests.benchmarks.refits --every {every.replace(' ', '')}{some}`",
        f"- commit: {code}",
        f"- date: {datetime.now(UTC):%Y-%m-%d}; it took {minutes:.0f} minutes",
    ]
    parts = [
        "# Refits on recorded streams",
        "What `python -m tests.benchmarks.refits` printed. The default detector goes through "
        "the loop of a replay with `training.every_windows` null and at "
        f"{every}; everything else is default, windows, history and metrics are those of "
        "[streams](streams.md).",
        "\n".join(made),
        verdict,
        *(f"## {grid.title}\n\n{grid.markdown()}" for grid in grids),
    ]
    return "\n\n".join(parts) + "\n"


def _arguments(argv: Sequence[str] | None) -> Namespace:
    parser = options((__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR")
    parser.add_argument("--families", type=_families, default=list(FAMILIES), metavar="A,B")
    parser.add_argument("--every", type=_distances, default=list(EVERY), metavar="N,M")
    parser.add_argument("--streams", type=int, metavar="N", help="at most N of each family")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (2)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the result as a page")
    arguments = parser.parse_args(argv)
    if arguments.quick:
        arguments.streams = arguments.streams or 1
    return arguments


def _families(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in FAMILIES]:
        raise ArgumentTypeError(f"{unknown[0]!r}: allowed are {', '.join(FAMILIES)}")
    return names


def _distances(text: str) -> list[int]:
    numbers = [int(part) if part.isdecimal() else 0 for part in text.split(",")]
    if min(numbers) < 10:
        raise ArgumentTypeError(f"{text!r}: allowed are whole numbers from 10, such as 300,1000")
    return numbers


if __name__ == "__main__":
    sys.exit(main())
