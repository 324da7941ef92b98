"""The page that a run of the papers benchmark writes: how it was made, and what came out."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import NamedTuple

from tests.benchmarks.papers_default import TABLE_DEFAULT
from tests.benchmarks.papers_results import Results
from tests.benchmarks.papers_tables import grids
from tests.benchmarks.table import Figure, Grid


class Conditions(NamedTuple):
    """What a run cannot read off its figures."""

    command: str
    commit: str
    seeds: Sequence[int]
    minutes: float
    recalled: int


def page(conditions: Conditions, results: Results, figures: Sequence[Figure]) -> str:
    """Return the page as Markdown."""
    judged = [figure for figure in figures if figure.target is not None]
    missed = [figure for figure in judged if not figure.held]
    parts = [
        "# The papers' models on their sets",
        "Written by the benchmark itself; the tables stand here as they came out.",
        "\n".join(f"- {line}" for line in _made(conditions, results)),
        "## Targets",
        f"{len(judged) - len(missed)} of {len(judged)} held. {ATTEMPTS}",
        _verdicts(judged).markdown(),
        "## Figures",
        LEGEND,
        *(f"### {grid.title}\n\n{grid.markdown()}" for grid in grids(results)),
        "## Protocol",
        "\n".join(f"- {line}" for line in PROTOCOL),
    ]
    return "\n\n".join(parts) + "\n"


def _verdicts(judged: Sequence[Figure]) -> Grid:
    rows = [
        [f"`{f.name}`", f.text(), f.target_text(), "held" if f.held else "**missed**"]
        for f in judged
    ]
    return Grid("Targets", ["figure", "ours", "target", "verdict"], rows)


def _made(conditions: Conditions, results: Results) -> Iterator[str]:
    yield f"command: `{conditions.command}`"
    yield f"commit: {conditions.commit}"
    yield (
        f"date: {datetime.now(UTC):%Y-%m-%d}; it took {conditions.minutes:.0f} minutes, "
        f"{conditions.recalled} of {len(results.runs)} runs were there already"
    )
    yield f"machine: {os.cpu_count()} cores ({platform.machine()}), one thread a process"
    packages = ("torch", "numpy", "scikit-learn", "pyod")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    yield f"software: Python {platform.python_version()}, {versions}"
    seeds = ", ".join(map(str, conditions.seeds))
    yield f"seeds: {seeds}, fixed in `tests/benchmarks/papers_plan.py`"
    settings = ", ".join(f"{key}={value!r}" for key, value in TABLE_DEFAULT.items())
    yield f"default for tables: `Detector({settings})`"


ATTEMPTS = "What was tried for those missed: [attempts](papers_attempts.md)."
LEGEND = (
    "AUC-ROC in percent, mean ± standard deviation over seeds. *published*: what the model's "
    "paper prints (AE and Deep SVDD: as Deep SAD and NCAE report them; their protocols differ "
    "from ours and some are not reachable by an honest one). *METHODS*: its target for us with "
    "the verdict; in brackets what it found and asks of nobody. *error* is the model's own "
    "evidence; *ares* is with k = 10 on clean and k = 100 on contaminated tables, for `ncae` with "
    "the k that it chose itself. A gain is in points."
)
PROTOCOL = (
    "60:40, normal and anomalous rows alike, anew for each seed; training rows in random order. "
    "*clean*: only the normal ones of the training part; *as it comes*: all of them; *10 %*: so "
    "many of its anomalies that they are that share. No row is drawn twice. Everybody gets the "
    "same splits.",
    'One setting for all sets, `Detector(model, scaling="standard", calibration_share=0.05)` '
    "(`ncae`: robust, whose squash it undoes by itself): "
    "network, epochs and k as they come; the latent has 8 numbers (thyroid 4, arrhythmia 32) as "
    "in the papers, for the halves of the digits 16. "
    "The bank is the training part without validation and calibration.",
    "`deep_sad` gets 1 % of the training rows as labelled anomalies, which are then in no other "
    "part; the other models get no label at all.",
    "One fit serves all scorers: `error` is the error of the same fit. *rebuilt* (in the JSON "
    "file) is the reconstruction error alone, which is AnoRand's own autoencoder; *phase_1* is "
    "the error before a LIS-AE's second phase.",
    "Peers: scikit-learn's and PyOD's defaults on z-scored rows; LOF with k = 100 (and 20, as the "
    "issue measured it), kNN by the distance to the tenth neighbour.",
    "Seconds are of one core (CPU time of the process); memory is the most by which resident "
    "memory rose in a fit on shuttle, clean, in a process of its own.",
    "Digits are windows of 28 x 28; motors are rows. Of *one digit* and *half of the digits* "
    "three digits (0, 3, 8) stand for ten, of *all digits but* likewise.",
    "Nothing is chosen by test labels: no threshold, seed, epoch or setting.",
)
