"""The tables of the papers benchmark: members, gains, peers, the default, classes, costs."""

from __future__ import annotations

import math
import statistics

from tests.benchmarks.papers_default import DEFAULT, SHIPPED
from tests.benchmarks.papers_peers import PEERS
from tests.benchmarks.papers_plan import BESIDE
from tests.benchmarks.papers_results import MEAN, Over, Results, beside, fit_s, worst_ratio
from tests.benchmarks.papers_targets import FOUND, PUBLISHED, PUBLISHED_CLASSES, TARGETS
from tests.benchmarks.table import Grid

SCORERS = {"error": "error", "ares_10": "ares k=10", "ares_100": "ares k=100"}
TABLE_GROUPS = ("tables", "table default", "memory")


def grids(results: Results) -> list[Grid]:
    """Return the tables that have rows."""
    found = [
        *(member(results, who) for who in results.members()),
        gains(results),
        peers(results),
        default(results),
        classes(results),
        costs(results),
    ]
    return [grid for grid in found if grid.rows]


def member(results: Results, who: str) -> Grid:
    """Return a model's figures beside those that its paper prints and METHODS asks for."""
    rows = []
    for name in results.subjects("tables"):
        for training in results.trainings("tables", name):
            scores = [
                results.of("tables", name, training, who, key).text() for key in (*SCORERS, "ares")
            ]
            printed = cell(PUBLISHED.get((who, training), {}).get(name))
            rows.append([name, training, printed, _asked(results, name, training, who), *scores])
    headings = ["set", "trained on", "published", "METHODS", *SCORERS.values(), "ares"]
    return Grid(who, headings, rows)


def _asked(results: Results, name: str, training: str, who: str) -> str:
    """Return METHODS' targets with their verdicts, and in brackets what it only found."""
    where = "tables", name, training, who
    texts = []
    for target in TARGETS:
        if target[:4] == where:
            held = round(results.mean(*where, target.scorer), 1) >= target.least
            verdict = "held" if held else "missed"
            texts.append(f"{target.scorer} >= {target.least}: {verdict}")
    for (model, scorer, on), found in FOUND.items():
        if (model, on) == (who, training) and name in found:
            texts.append(f"({scorer} {found[name]})")
    return "; ".join(texts) or "-"


def gains(results: Results) -> Grid:
    """Return what ares adds to the error, in points, per set."""
    names, rows = results.subjects("tables"), []
    for training in _trainings(results, "tables"):
        for who in results.members():
            each = [_gain(results, name, training, who) for name in names]
            known = [gain for gain in each if not math.isnan(gain)]
            mean = statistics.fmean(known) if known else math.nan
            rows.append([who, training, *(cell(gain, "+.1f") for gain in (*each, mean))])
    return Grid("ares minus error", ["model", "trained on", *names, "mean"], rows)


def _gain(results: Results, name: str, training: str, who: str) -> float:
    ares, error = (results.mean("tables", name, training, who, k) for k in ("ares", "error"))
    return ares - error


def peers(results: Results) -> Grid:
    """Return the peers, what METHODS measured of them in brackets."""
    who = [name for name in results.detectors("tables") if name in PEERS or name == SHIPPED]
    rows = []
    for name in results.subjects("tables"):
        for training in results.trainings("tables", name):
            cells = []
            for peer in who:
                found = FOUND.get((peer, "score", training), {}).get(name)
                text = results.of("tables", name, training, peer, "score").text()
                cells.append(text if found is None else f"{text} ({found})")
            rows.append([name, training, *cells])
    return Grid("Peers on the same splits", ["set", "trained on", *who], rows)


def default(results: Results) -> Grid:
    """Return the default for tables beside three peers, set by set."""
    who, rows = [DEFAULT, *BESIDE], []
    for training in _trainings(results, "table default"):
        for name in results.subjects("table default"):
            scores = [beside(results, name, training, each) for each in who]
            gap = cell(scores[0].mean - scores[1].mean, "+.1f")
            rows.append([name, training, *(score.text() for score in scores), gap])
    return Grid("The default for tables", ["set", "trained on", *who, "default - kNN"], rows)


def classes(results: Results) -> Grid:
    """Return digits and motors, each and their means."""
    rows = []
    for group in dict.fromkeys(j.group for j in results.runs if j.group not in TABLE_GROUPS):
        for training in _trainings(results, group):
            for who in results.detectors(group):
                keys = ((group, training, who, scorer) for scorer in SCORERS)
                printed = [cell(PUBLISHED_CLASSES.get(key)) for key in keys]
                for subject in (*results.subjects(group), MEAN):
                    where = group, subject, training, who
                    scores = [results.of(*where, key).text() for key in SCORERS]
                    published = printed if subject == MEAN else ["-"] * len(SCORERS)
                    rows.append([f"{group} {subject}", training, who, *scores, *published])
    headings = ["normal", "trained on", "model", *SCORERS.values()]
    return Grid("Digits and motors", [*headings, "published", "k=10", "k=100"], rows)


def costs(results: Results) -> Grid:
    """Return seconds of a fit per set, against the AE's, and memory."""
    names, rows = results.subjects("tables"), []
    for who in results.members():
        seconds = [cell(fit_s(results, name, who), ".2f") for name in names]
        memory = [
            figures["memory_mib"]
            for job, figures in results.runs.items()
            if (job.group, job.detector) == ("memory", who)
        ]
        ratio = cell(worst_ratio(results, who), ".1f")
        rows.append([who, *seconds, ratio, cell(Over.of(memory).mean, ".0f")])
    headings = ["model", *names, "most x AE", "memory of a fit, MiB"]
    return Grid("Seconds of one core for a fit, mean over seeds and contaminations", headings, rows)


def _trainings(results: Results, group: str) -> list[str]:
    each = (results.trainings(group, name) for name in results.subjects(group))
    return list(dict.fromkeys(training for own in each for training in own))


def cell(value: float | None, form: str = ".1f") -> str:
    """Return a number for a table, a dash where there is none."""
    return "-" if value is None or math.isnan(value) else format(value, form)
