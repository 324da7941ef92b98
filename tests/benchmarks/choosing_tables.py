"""How good the choices were, per family and in all, and the tables that show it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.stats import spearmanr

from tests.benchmarks.choosing_trials import DEFAULT, Trial
from tests.benchmarks.streams_table import OVERALL, mean
from tests.benchmarks.table import Grid

SAME = 1e-9  # AUC-PR apart by less is a tie
ALL = "all streams"

Quality = Mapping[str, float]

# key, heading, format
COLUMNS = (
    ("choices", "choices", ".0f"),
    ("best", "is the best", ".0%"),
    ("within_01", "within .01", ".0%"),
    ("within_05", "within .05", ".0%"),
    ("auc_pr_taken", "AUC-PR taken", ".3f"),
    ("auc_pr_best", "best by labels", ".3f"),
    ("auc_pr_default", "default", ".3f"),
    ("auc_pr_random", "at random", ".3f"),
    ("f1_taken", "F1 taken", ".3f"),
    ("f1_best", "best by labels", ".3f"),
    ("f1_default", "default", ".3f"),
    ("f1_random", "at random", ".3f"),
    ("rank_correlation", "rank correlation", ".2f"),
)


def qualities(trials: Sequence[Trial]) -> dict[str, Quality]:
    """Return what the choices were worth: per family, the mean of families, of all streams.

    Trials that failed are left out.

    ============================ ==================================================
    ``choices``                  histories that a choice was made on
    ``best``                     share of streams whose taken member has the highest
                                 AUC-PR of all members
    ``within_01``, ``within_05`` share whose taken member is at most so far below it
    ``auc_pr_*``, ``f1_*``       means: of what was taken, of the member that is best
                                 by that very figure, of the default, of all members,
                                 which is a member drawn at random
    ``rank_correlation``         Spearman's, over members, between mean AUC on
                                 injected faults and AUC-PR by labels
    ============================ ==================================================
    """
    good = [trial for trial in trials if trial.failure is None]
    result = {family: _quality(part) for family, part in _by_family(good).items()}
    if result:
        parts = list(result.values())
        result[OVERALL] = _mean_of(parts) | {"choices": sum(part["choices"] for part in parts)}
        result[ALL] = _quality(good)
    return result


def overview(table: Mapping[str, Quality]) -> Grid:
    """Return the choices: a row for each section."""
    rows = [
        [section, *(_cell(quality.get(key), form) for key, _, form in COLUMNS)]
        for section, quality in table.items()
    ]
    return Grid("What is taken without labels", ["", *(head for _, head, _ in COLUMNS)], rows)


def counts(trials: Sequence[Trial], members: Sequence[str]) -> Grid:
    """Return how often each member was taken and how often it was the best, by family."""
    families = _by_family([trial for trial in trials if trial.failure is None])

    def row(name: str) -> list[str]:
        cells = [
            (sum(t.taken == name for t in part), sum(_is_best(t, name) for t in part))
            for part in families.values()
        ]
        cells.append((sum(taken for taken, _ in cells), sum(best for _, best in cells)))
        return [name, *(f"{taken} / {best}" for taken, best in cells)]

    title = "Streams on which a member is taken / is the best by labels, ties of all that tie"
    return Grid(title, ["member", *families, "all"], [row(name) for name in members])


def members_grid(trials: Sequence[Trial], members: Sequence[str]) -> Grid:
    """Return each member's mean AUC on injected faults, and AUC-PR and F1 by labels."""
    families = _by_family([trial for trial in trials if trial.failure is None])

    def cell(part: Sequence[Trial], name: str) -> list[float | None]:
        return [
            mean(_injected(t).get(name) for t in part),
            mean(t.worth[name].auc_pr for t in part),
            mean(t.worth[name].f1 for t in part),
        ]

    def row(name: str) -> list[str]:
        cells = [cell(part, name) for part in families.values()]
        cells.append([mean(column) for column in zip(*cells, strict=True)])
        return [name, *(" / ".join(_cell(value, ".3f") for value in three) for three in cells)]

    title = "AUC on injected faults / AUC-PR by labels / F1 by labels"
    return Grid(title, ["member", *families, OVERALL], [row(name) for name in members])


def flat(table: Mapping[str, Quality]) -> dict[str, float]:
    """Return every figure under ``section.key``."""
    return {
        f"{section.replace(' ', '_')}.{key}": value
        for section, quality in table.items()
        for key, value in quality.items()
    }


def _quality(trials: Sequence[Trial]) -> Quality:
    auc = [{name: worth.auc_pr for name, worth in t.worth.items()} for t in trials]
    f1 = [{name: worth.f1 for name, worth in t.worth.items()} for t in trials]
    lost = [max(a.values()) - a[t.taken] for a, t in zip(auc, trials, strict=True)]
    correlations = (_rank_correlation(_injected(t), a) for t, a in zip(trials, auc, strict=True))
    result: dict[str, float | None] = {
        "choices": len({(t.history, t.seed) for t in trials if t.compared is not None}),
        "best": mean(gap <= SAME for gap in lost),
        "within_01": mean(gap <= 0.01 for gap in lost),
        "within_05": mean(gap <= 0.05 for gap in lost),
        "rank_correlation": mean(correlations),
    }
    for key, figures in (("auc_pr", auc), ("f1", f1)):
        pairs = list(zip(figures, trials, strict=True))
        result |= {
            f"{key}_taken": mean(figure[t.taken] for figure, t in pairs),
            f"{key}_best": mean(max(figure.values()) for figure in figures),
            f"{key}_default": mean(figure[DEFAULT] for figure in figures),
            f"{key}_random": mean(statistics.fmean(figure.values()) for figure in figures),
        }
    return {key: value for key, value in result.items() if value is not None}


def _rank_correlation(heard: Mapping[str, float], worth: Mapping[str, float]) -> float | None:
    """Return Spearman's over the members; None where either side ranks nothing."""
    pairs = np.array([(heard[name], worth[name]) for name in worth if name in heard])
    if len(pairs) < 2 or not np.ptp(pairs, axis=0).all():
        return None
    return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic)


def _injected(trial: Trial) -> dict[str, float]:
    compared = trial.compared
    return {} if compared is None else {member.name: member.auc for member in compared.members}


def _is_best(trial: Trial, name: str) -> bool:
    highest = max(worth.auc_pr for worth in trial.worth.values())
    return trial.worth[name].auc_pr >= highest - SAME


def _by_family(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    result: dict[str, list[Trial]] = {}
    for trial in trials:
        result.setdefault(trial.family, []).append(trial)
    return result


def _mean_of(parts: Sequence[Quality]) -> dict[str, float]:
    keys = dict.fromkeys(key for part in parts for key in part)
    means = {key: mean(part.get(key) for part in parts) for key in keys}
    return {key: value for key, value in means.items() if value is not None}


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
