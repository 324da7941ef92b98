"""False incidents and small p-values, counted and held against what was asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from stream_ad.alerting.drift import DAY_NS
from stream_ad.detector.line import AlarmLine
from stream_ad.evaluation.outputs import Run

LEVELS = (0.1, 0.01)
OUTSIDE = 0.05  # chance that the interval does not hold the true rate


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened in some scored time without faults.

    Parameters
    ----------
    expected : float
        False incidents that the asked budget allows in that time.
    incidents, drifts : int
        Process incidents and those of kind ``drift`` that opened.
    windows : int
        Those whose p-values count.
    tenth, hundredth : int
        Of them, with a p-value of at most .1 and .01.
    unmoved : int
        Of them, above the line had it never moved.

    Examples
    --------
    >>> both = Tally.pooled([Tally(4, 3, 0, 50, 6, 0, 9), Tally(6, 9, 0, 50, 5, 2, 9)])
    >>> both.over_asked, round(both.p_over(0.1), 2)
    (1.2, 1.1)
    """

    expected: float
    incidents: int
    drifts: int
    windows: int
    tenth: int
    hundredth: int
    unmoved: int

    @classmethod
    def of(
        cls,
        run: Run,
        line: AlarmLine,
        hop_ns: int,
        asked: float,
        normal: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Count what a run wrote.

        Parameters
        ----------
        run : Run
        line : AlarmLine
            Of the only version.
        hop_ns : int
        asked : float
            Incidents per machine-day.
        normal : bool array (w,), optional
            Scored windows that count for the p-values; all if not given.
        """
        opened = [event.kind for event in run.events if event.event == "opened"]
        kept = np.ones(len(run.score), bool) if normal is None else normal
        p = p_values(run, line)[kept]
        return cls(
            len(run.score) * hop_ns / DAY_NS * asked,
            opened.count("process"),
            opened.count("drift"),
            len(p),
            int(np.count_nonzero(p <= 0.1)),
            int(np.count_nonzero(p <= 0.01)),
            int(np.count_nonzero(run.scored.static_score[kept] > 1)),
        )

    @classmethod
    def pooled(cls, parts: Iterable[Self]) -> Self:
        """Return the sum."""
        rows = [[getattr(part, f.name) for f in fields(cls)] for part in parts]
        return cls(*(sum(column) for column in zip(*rows, strict=True)))

    @property
    def over_asked(self) -> float:
        """Return incidents achieved over those asked."""
        return self.incidents / self.expected

    def p_over(self, level: float) -> float:
        """Return the share of windows with a p-value of at most a level, over that level."""
        if not self.windows:
            return np.nan
        return {0.1: self.tenth, 0.01: self.hundredth}[level] / self.windows / level

    def interval(self) -> tuple[float, float]:
        """Return the exact 95 % Poisson interval of `over_asked`."""
        low, high = poisson_interval(self.incidents)
        return low / self.expected, high / self.expected

    def cells(self) -> list[str]:
        """Return what the tables show of it, under ``HEADINGS``."""
        low, high = self.interval()
        return [
            f"{self.expected:.1f}",
            f"{self.incidents}",
            f"{self.over_asked:.2f}",
            f"{low:.2f} - {high:.2f}",
            f"{self.drifts}",
            f"{self.unmoved / max(self.windows, 1):.1%}",
            *(f"{self.p_over(level):.2f}" for level in LEVELS),
        ]


HEADINGS = (
    "asked",
    "achieved",
    "over asked",
    "95 % Poisson",
    "of kind drift",
    "above the unmoved line",
    *(f"p <= {level:g}, over {level:g}" for level in LEVELS),
)


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the means of a Poisson count between which its own chance is above 2.5 %.

    Garwood's exact interval: it holds the true mean in at least 95 of 100 cases.

    Examples
    --------
    >>> [round(bound, 2) for bound in poisson_interval(10)]
    [4.8, 18.39]
    """
    low = chi2.ppf(OUTSIDE / 2, 2 * count) / 2 if count else 0.0
    return float(low), float(chi2.ppf(1 - OUTSIDE / 2, 2 * count + 2) / 2)


def p_values(run: Run, line: AlarmLine) -> NDArray[np.float64]:
    """Return the p-values (w,) as the run wrote them: after adaptation, before any margin."""
    return line.p_value(line.median + run.score * (line.line - line.median))
