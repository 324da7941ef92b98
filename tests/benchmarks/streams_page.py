"""The page that a run of the streams benchmark writes: how it was made, and what came out."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import yaml

from stream_ad.config import Config
from tests.benchmarks import recordings as protocol
from tests.benchmarks import shrinking
from tests.benchmarks.measuring import DEFAULT, DRAWN, OURS, Row, settings
from tests.benchmarks.recordings import LENGTH, Recording
from tests.benchmarks.streams_results import Results
from tests.benchmarks.streams_table import OVERALL, Means, detectors, families_of
from tests.benchmarks.table import Grid

MASKED = ("sensors", "period_s", "hop")  # what the families do not share


class Conditions(NamedTuple):
    """What a run cannot read off its rows."""

    command: str
    commit: str
    seeds: Sequence[int]
    minutes: float


def page(conditions: Conditions, recordings: Sequence[Recording], results: Results) -> str:
    """Return the page as Markdown."""
    plain = [r for r in recordings if r.family not in shrinking.STRESSED.values()]
    parts = [
        "# Recorded streams",
        "Written by the benchmark itself; the tables stand here as they came out.",
        "\n".join(f"- {line}" for line in _made(conditions, results.rows)),
        "## What it shows",
        "\n".join(f"- {line}" for line in findings(results)),
        "## Figures",
        *(f"### {grid.title}\n\n{grid.markdown()}" for grid in results.grids()),
        _legend(conditions.seeds),
        "## Protocol",
        _protocol(plain).markdown(),
        "\n".join(f"- {line}" for line in _rules(plain)),
        "## Config",
        "Defaults everywhere; sensors, period and hop are the families' as above, the seed is "
        "the run's, and a row such as `ae/error` sets `detector.model` and `detector.scorer`.",
        f"```yaml\n{_config(plain[0])}```",
        "## Where the time went",
        results.costs().markdown(),
    ]
    return "\n\n".join(parts) + "\n"


def findings(results: Results) -> Iterator[str]:
    """Yield in sentences what the means say, whoever they favour."""
    table = results.table
    families = families_of(table)
    for section in (*families, OVERALL):
        yield _standing(table, section)
    for other in (n for n in detectors(table) if n in OURS and n != DEFAULT):
        gains = (_best(table, f, DEFAULT) - _best(table, f, other) for f in families)
        each = ", ".join(f"{f} {gain:+.3f}" for f, gain in zip(families, gains, strict=True))
        yield f"AUC-PR of `{DEFAULT}` against `{other}`: {each}."
    sds = (_text(table[f, DEFAULT].get("auc_pr_seed_sd"), ".3f") for f in families)
    spread = ", ".join(f"{f} {sd}" for f, sd in zip(families, sds, strict=True))
    yield f"What the seed moves, one standard deviation of the AUC-PR of `{DEFAULT}`: {spread}."
    for family in families:
        yield _line(table, family)
    for family in families_of(results.stressed):
        yield _weak(results.stressed, family)
    yield (
        "The budget counts incidents, not time in alarm, and an incident that stays open is one "
        "and finds every event that comes. Many false-alarm rows beside few false alarms per day "
        "are therefore no kept promise, as when a machine leaves the level of its history for "
        "good and the line does not follow."
    )


def _baselines(table: Means, section: str) -> list[str]:
    return [name for name in detectors(table, section) if name not in OURS]


def _standing(table: Means, section: str) -> str:
    best = max(_baselines(table, section), key=lambda name: _best(table, section, name))
    ours, theirs = _best(table, section, DEFAULT), _best(table, section, best)
    verdict = "ahead of" if ours > theirs else "behind"
    return (
        f"**{section}**, AUC-PR: `{DEFAULT}` {ours:.3f}, {verdict} the best baseline, `{best}`, "
        f"with {theirs:.3f} ({ours - theirs:+.3f})."
    )


def _line(table: Means, family: str) -> str:
    ours = table[family, DEFAULT]
    best = max(_baselines(table, family), key=lambda name: table[family, name].get("f1") or 0)
    return (
        f"**{family}**, at the line: `{DEFAULT}` has F1 {_text(ours.get('f1'), '.3f')} with "
        f"{_text(ours.get('false_alarm_rows'), '.1%')} of the normal rows in alarm and "
        f"{_text(ours.get('missed_rows'), '.1%')} of the anomalous rows missed (best baseline by "
        f"F1, `{best}`: {_text(table[family, best].get('f1'), '.3f')}). Asked were "
        f"{_text(ours.get('asked_per_day'), 'g')} false alarms per machine-day, "
        f"{_text(ours.get('false_per_day'), '.1f')} came; the history was long enough for that "
        f"budget on {_text(ours.get('budget_supported'), '.0%')} of the streams."
    )


def _weak(stressed: Means, family: str) -> str:
    ours = stressed[family, DEFAULT]
    return (
        f"**{family}**, faults at a tenth: `{DEFAULT}` has F1 {_text(ours.get('f1'), '.3f')}, and "
        f"{_text(ours.get('static_f1'), '.3f')} at the same line if nothing moves it."
    )


def _best(table: Means, section: str, detector: str) -> float:
    return table[section, detector].get("auc_pr") or 0.0


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _made(conditions: Conditions, rows: Sequence[Row]) -> Iterator[str]:
    failed = sum(row.failure is not None for row in rows)
    yield f"command: `{conditions.command}`"
    yield f"commit: {conditions.commit}"
    yield f"date: {datetime.now(UTC):%Y-%m-%d}; it took {conditions.minutes:.0f} minutes"
    yield f"machine: {os.cpu_count()} cores ({platform.machine()}), {_device()}"
    packages = ("torch", "numpy", "scikit-learn", "river")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    yield f"software: Python {platform.python_version()}, {versions}"
    yield f"seeds: {', '.join(map(str, conditions.seeds))}, fixed in `tests/benchmarks/streams.py`"
    yield f"rows (stream, detector, seed): {len(rows)}, of which {failed} failed"


def commit() -> str:
    """Return the commit of the working tree, and whether it holds other changes."""

    def git(*words: str) -> str:
        root = Path(__file__).parent
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        dirty = git("status", "--porcelain", "--", ":/stream_ad", ":/tests/benchmarks")
        return git("rev-parse", "--short", "HEAD") + (
            " and changes not yet committed" * bool(dirty)
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _device() -> str:
    import torch

    return "with a GPU" if torch.cuda.is_available() else "CPU only"


def _legend(seeds: Sequence[int]) -> str:
    default = "/".join(OURS[DEFAULT])
    return (
        f"A figure is the mean over streams; {', '.join(f'`{name}`' for name in DRAWN)} are means "
        f"over {len(seeds)} seeds first, and *sd, seeds* is that of AUC-PR. `{DEFAULT}` is our "
        f"detector as it comes, which is `{default}`; the other pairs are model and scorer. "
        "`ares_raw` is the ARES scorer on the raw window without a network. AUC-ROC, AUC-PR and "
        "VUS-PR rank the rows by the unmoved score; F1, false and missed rows (normal ones in "
        "alarm, anomalous ones without) read the alarms at each detector's own line, all placed "
        "by the same rule on the same held-out windows; *static F1* and *its false rows* are what "
        "that line would have said had nothing moved it; event recall, delay (in windows, that is "
        "hops, median over the events found) and false alarms "
        "per machine-day read the incidents (a stream shorter than a day turns one false alarm "
        "into many per day: last column under Protocol). A delay is the mean over streams where "
        "something was found. *Supported* is the share of streams whose history is long "
        "enough to place a line for the budget asked."
    )


def _protocol(recordings: Sequence[Recording]) -> Grid:
    lines = []
    for family in dict.fromkeys(r.family for r in recordings):
        own = [r for r in recordings if r.family == family]
        first, judged = own[0], [r.label[r.history :] for r in own]
        share = sum(part.sum() for part in judged) / sum(map(len, judged))
        longest = max(r.history for r in own)
        cells = (len(own), len(first.sensors), first.period_s, LENGTH, first.hop)
        per_day = sum(86_400 / (len(part) * first.period_s) for part in judged) / len(own)
        rows = sum(map(len, judged))
        lines.append(
            [
                family,
                *map(str, cells),
                f"{longest:,}",
                f"{rows:,}",
                f"{share:.1%}",
                f"{per_day:.3g}",
            ]
        )
    headings = [
        "family",
        "streams",
        "sensors",
        "period s",
        "window rows",
        "hop",
        "most training rows",
    ]
    what = ["rows judged", "of them anomalous", "one false alarm in a stream, per day"]
    return Grid("Protocol", [*headings, *what], lines)


def _rules(recordings: Sequence[Recording]) -> Iterator[str]:
    yield (
        "Each stream takes the real path: readings in order of time, history, training, alarm "
        "line from the budget, pipeline, incidents. Every baseline gets the same history and "
        "scores the same windows in the same pipeline."
    )
    yield (
        "Metrics by row: rows after the training part; a row takes score and alarm of the latest "
        "window that ended at or before it, so the row itself is not yet in it."
    )
    yield "Nothing is chosen by test labels: no threshold, seed, epoch or setting."
    yield (
        f"skab: the 25 labelled files, the first {protocol.SKAB_HISTORY} rows of each are its "
        "training part, on their own clock; about 5 % of the seconds have no row and carry the "
        "value before."
    )
    yield (
        f"smd: the last {protocol.SERVER_HISTORY:,} training rows, then the first "
        f"{protocol.SERVER_TEST:,} test rows of four machines, one row a minute without a gap "
        "between them."
    )
    yield (
        "asd: the same of six application servers, one row in five minutes; they have 8,640 "
        "training rows and 4,320 test rows."
    )
    yield (
        "tep: trained on `d00`, scored on each `dNN_te` with a fault, which starts at row "
        f"{protocol.TEP_FAULT_ROW}; one row in 180 s. The two are recordings of one plant, dated "
        f"{protocol.TEP_GAP_S // 3600} hours apart, so that no window holds rows of both. The "
        "faults share one history: each detector is fitted once per seed for all of them."
    )
    yield (
        "oil_3w: the real wells of fault classes 1 and 2 with at least "
        f"{protocol.OIL_NORMAL} normal rows before the fault; unlabelled rows dropped first, then "
        f"one row a second; at most {protocol.OIL_SIDE:,} rows on either side of the first "
        "anomalous one, transients included; trained on the first "
        f"{protocol.OIL_HISTORY:.0%} of the normal rows kept (575 to 3,600). Missing cells, and "
        "values that no float32 holds, are missing."
    )
    yield (
        f"Faults shrunk to {shrinking.SHARE:.0%}: of what level, shaking and spikes of a sensor "
        f"during a fault exceed those of the {shrinking.BEFORE} normal rows before it, that share "
        "remains; noise keeps its size (`tests/benchmarks/shrinking.py`). Fits are those of the "
        "streams as recorded."
    )
    if stained := [r for r in recordings if r.label[: r.history].any()]:
        counts = (f"{r.identity()} ({int(r.label[: r.history].sum())} rows)" for r in stained)
        yield f"Anomalous rows inside a training part, left there: {', '.join(counts)}."
    yield (
        "The share of anomalous rows is what a score that says nothing gets as AUC-PR: figures "
        "of families do not compare with each other."
    )


def _config(recording: Recording) -> str:
    config: Config = settings(recording, DEFAULT, 0)
    tree = config.model_dump(mode="json", include={"windows", "detector", "alarm", "training"})
    tree["windows"] = {k: v for k, v in tree["windows"].items() if k not in MASKED}
    del tree["detector"]["seed"]
    return yaml.safe_dump(tree, sort_keys=False)
