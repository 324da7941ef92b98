"""From runs to means over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from stream_ad.detector.models import MODELS
from tests.benchmarks.papers_default import DEFAULT
from tests.benchmarks.papers_runs import Figures, Job
from tests.benchmarks.papers_tasks import SEVEN

MEAN = "mean"  # as a subject: over all subjects of a group


class Over(NamedTuple):
    """Mean and standard deviation over seeds; the latter None for one seed."""

    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Over:
        """Take them; NaN where there is nothing.

        Examples
        --------
        >>> Over.of([1.0, 3.0]).mean, Over.of([1.0]).sd
        (2.0, None)
        """
        mean = statistics.fmean(values) if values else math.nan
        alone = len(values) < 2 or math.isnan(mean)
        return cls(mean, None if alone else statistics.stdev(values))

    def text(self) -> str:
        """Return it for a cell."""
        if math.isnan(self.mean):
            return "-"
        return f"{self.mean:.1f}" + ("" if self.sd is None else f" ± {self.sd:.1f}")


TWO_PHASES = {"lis_ae", "linsep_lis_ae"}


class Results:
    """Figures of finished runs, looked up by what they are of.

    Parameters
    ----------
    runs : mapping of Job to Figures
    """

    def __init__(self, runs: Mapping[Job, Figures]) -> None:
        self.runs = {job: _of_both_phases(job, figures) for job, figures in runs.items()}
        self._seeds: dict[tuple[str, str, str, str], list[Figures]] = {}
        for job, figures in self.runs.items():
            key = job.group, job.subject, job.training, job.detector
            self._seeds.setdefault(key, []).append(figures)

    def of(self, group: str, subject: str, training: str, detector: str, key: str) -> Over:
        """Return a figure over seeds; ``mean`` as the subject is over the subjects of a seed."""
        if subject == MEAN:
            return self._over_subjects(group, training, detector, key)
        found = self._seeds.get((group, subject, training, detector), [])
        return Over.of([f[key] for f in found if key in f])

    def mean(self, group: str, subject: str, training: str, detector: str, key: str) -> float:
        """Return the mean of `of`."""
        return self.of(group, subject, training, detector, key).mean

    def _over_subjects(self, group: str, training: str, detector: str, key: str) -> Over:
        seeds: dict[int, list[float]] = {}
        for job, figures in self.runs.items():
            if (job.group, job.training, job.detector) == (group, training, detector):
                seeds.setdefault(job.seed, []).append(figures.get(key, math.nan))
        return Over.of([statistics.fmean(values) for values in seeds.values()])

    def subjects(self, group: str, training: str | None = None) -> list[str]:
        """Return the sets or classes of a group, in order."""
        found = (j for j in self.runs if j.group == group and training in {None, j.training})
        return list(dict.fromkeys(job.subject for job in found))

    def trainings(self, group: str, subject: str) -> list[str]:
        """Return what was trained on, in order."""
        found = (j for j in self.runs if (j.group, j.subject) == (group, subject))
        return list(dict.fromkeys(job.training for job in found))

    def detectors(self, group: str) -> list[str]:
        """Return who ran in a group, in order."""
        return list(dict.fromkeys(job.detector for job in self.runs if job.group == group))

    def members(self) -> list[str]:
        """Return the models of the family that ran on tables."""
        return [name for name in self.detectors("tables") if name in MODELS]

    def flat(self) -> dict[str, float]:
        """Return every mean under ``group.training.subject.detector.key``."""
        flat: dict[str, float] = {}
        for (group, subject, training, detector), found in self._seeds.items():
            where = f"{group}.{training}.{subject}.{detector}".replace(" ", "_")
            flat |= {f"{where}.{key}": Over.of([f[key] for f in found]).mean for key in found[0]}
        return flat


def _of_both_phases(job: Job, figures: Figures) -> Figures:
    """Add the first phase of a fit that skipped its second: it ended where the first did."""
    if job.detector not in TWO_PHASES or "error" not in figures:
        return figures
    return {"phase_1": figures["error"]} | figures


def beside(results: Results, name: str, training: str, who: str) -> Over:
    """Return the score of the default or a peer on one of the twenty sets.

    On the seven the peers ran with the papers' models, on the others beside the default.
    """
    if who == DEFAULT or name not in SEVEN:
        return results.of("table default", name, training, who, "score")
    return results.of("tables", name, training, who, "score")


def fit_s(results: Results, name: str, who: str, training: str | None = None) -> float:
    """Return the seconds of a fit on a set; over all that was trained on if none is named."""
    own = results.trainings("tables", name) if training is None else [training]
    means = (results.mean("tables", name, each, who, "fit_s") for each in own)
    return Over.of([value for value in means if not math.isnan(value)]).mean


def worst_ratio(results: Results, who: str) -> float:
    """Return the largest ratio of a model's fit time to the AE's over sets and contaminations."""
    return largest(
        fit_s(results, name, who, training) / fit_s(results, name, "ae", training)
        for name in results.subjects("tables")
        for training in results.trainings("tables", name)
    )


def largest(values: Iterable[float]) -> float:
    """Return the largest; NaN if one is NaN or there is none: what was not measured holds nothing.

    Examples
    --------
    >>> largest([1.0, 2.0]), largest([1.0, math.nan]), largest([])
    (2.0, nan, nan)
    """
    known = list(values)
    return math.nan if not known or any(map(math.isnan, known)) else max(known)
