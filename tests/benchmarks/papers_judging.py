"""What the benchmark of the papers is judged by: METHODS' and the issue's targets against results.

An AUC-ROC is compared as it is printed, with one decimal, as the targets are.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from tests.benchmarks import papers_targets as asked
from tests.benchmarks.papers_default import DEFAULT
from tests.benchmarks.papers_results import Results, beside, largest, worst_ratio
from tests.benchmarks.papers_tasks import AS_IT_COMES, CLEAN, MORE, SEVEN
from tests.benchmarks.table import Figure

TRAININGS = (CLEAN, AS_IT_COMES)
SIDES = {"seven": SEVEN, "more": MORE}


def figures(results: Results, *, judged: bool, classes: bool) -> list[Figure]:
    """Return the figures with their targets.

    Parameters
    ----------
    results : Results
    judged : bool
        Whether the run is whole; else there are no targets. What a whole run lacks, such as a
        model that is not there, is NaN and misses.
    classes : bool
        Whether digits and motors ran.
    """
    if not judged:
        return []
    groups = asked.TARGETS if classes else asked.TABLES
    return [
        *(_of(results, target) for target in groups),
        *_mining(results),
        *_below_themselves(results),
        *_costs(results),
        *_default(results),
    ]


def _of(results: Results, target: asked.Target) -> Figure:
    value = results.mean(*target[:4], target.scorer)
    name = f"{target.group}.{target.training}.{target.subject}.{target.detector}.{target.scorer}"
    return Figure(name.replace(" ", "_"), round(value, 1), target.least, form=".1f")


def _mining(results: Results) -> Iterator[Figure]:
    """Yield how NCAE with ARES stands to the AE, on contaminated and on clean tables."""

    def gap(name: str, training: str, ours: str, ae: str) -> float:
        mine = results.mean("tables", name, training, "ncae", ours)
        return results.mean("tables", name, training, "ae", ae) - mine

    worst = largest(gap(name, AS_IT_COMES, "ares", "error") for name in SEVEN)
    yield Figure("ncae.ares.as_it_comes.most_below_ae.error", worst, 0, "at most", "+.2f")
    lost = largest(gap(name, CLEAN, "ares", "ares_10") for name in SEVEN)
    most = asked.BELOW_AE_WHEN_CLEAN
    yield Figure("ncae.ares.clean.most_below_ae.ares", lost, most, "at most", "+.2f")
    for ours, ae in (("ares", "error"), ("error", "error")):
        lost = largest(gap(name, CLEAN, ours, ae) for name in SEVEN)
        yield Figure(f"ncae.{ours}.clean.most_below_ae.{ae}.", lost, form="+.2f")


def _below_themselves(results: Results) -> Iterator[Figure]:
    """Yield how far the LIS-AEs end below their phase 1, and AnoRand below its autoencoder."""
    for who, of, most in (
        ("lis_ae", "phase_1", asked.BELOW_PHASE_1),
        ("linsep_lis_ae", "phase_1", asked.BELOW_PHASE_1),
        ("anorand", "rebuilt", asked.BELOW_OWN_AE),
    ):
        for training in TRAININGS:
            lost = largest(
                results.mean("tables", name, training, who, of)
                - results.mean("tables", name, training, who, "error")
                for name in SEVEN
            )
            name = f"{who}.{training}.most_below_its_{of}".replace(" ", "_")
            yield Figure(name, lost, most, "at most", "+.2f")


def _costs(results: Results) -> Iterator[Figure]:
    for who in results.members():
        ratio = worst_ratio(results, who)
        yield Figure(f"{who}.most_times_fit_of_ae", ratio, asked.FIT_TIMES_AE, "at most", ".2f")


def _default(results: Results) -> Iterator[Figure]:
    """Yield the default's means beside the issue's figures and the peers of this run."""
    for side, names in SIDES.items():
        for training in TRAININGS:
            means = {
                who: statistics.fmean(beside(results, n, training, who).mean for n in names)
                for who in (DEFAULT, "kNN", "IForest")
            }
            key, rivals = f"default.{training}.{side}".replace(" ", "_"), asked.REACHED[training]
            issue = max(asked.ISSUE_PEERS[side, training][who] for who in rivals)
            yield Figure(key, round(means[DEFAULT], 1), issue, form=".1f")
            ahead = means[DEFAULT] - max(means[who] for who in rivals)
            yield Figure(f"{key}.over_{'_and_'.join(rivals)}_here", round(ahead, 1), 0, form="+.1f")
    gaps = (
        beside(results, name, training, "kNN").mean - beside(results, name, training, DEFAULT).mean
        for name in (*SEVEN, *MORE)
        for training in TRAININGS
    )
    yield Figure("default.most_below_kNN", largest(gaps), asked.BELOW_KNN, "at most", ".1f")
