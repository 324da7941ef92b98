"""What the gate found, in figures and in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from stream_ad.training.moved import Moved

MOST_DECIMALS = 6


def told_apart(*values: float) -> list[str]:
    """Write figures with two decimals, or as many as it takes to see that they differ.

    Examples
    --------
    >>> told_apart(0.98, 0.5), told_apart(3.9021, 3.8979), told_apart(1.0, 1.0)
    (['0.98', '0.50'], ['3.902', '3.898'], ['1.00', '1.00'])
    """
    for decimals in range(2, MOST_DECIMALS + 1):
        said = [f"{value:.{decimals}f}" for value in values]
        if len(set(said)) == len(set(values)):
            return said
    return [f"{value:.2f}" for value in values]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a challenger has to show.

    Parameters
    ----------
    name : str
    passed : bool
    figures : dict of str to float
        Empty where there was nothing to compare.
    sentence : str
        Begins in lower case and ends without a full stop.
    noted : bool
        The decision tells it even where another check refuses.
    """

    name: str
    passed: bool
    figures: dict[str, float]
    sentence: str
    noted: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; what is not a finite number becomes null."""
        figures = {k: v if math.isfinite(v) else None for k, v in self.figures.items()}
        return {
            "name": self.name,
            "passed": self.passed,
            "figures": figures,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a challenger may follow the champion, and why.

    Parameters
    ----------
    checks : tuple of Check
        At least one.
    moved : Moved
        How far every machine has moved, for the next verdict: to be kept if this one passed.
    beyond : tuple of str
        Machines that moved farther than they may, the farthest first; ``*`` for the group.

    Examples
    --------
    >>> verdict = Verdict((Check("faults", True, {"recall": 0.8}, "hears 80 %"),), Moved(0))
    >>> verdict.passed, verdict.sentence
    (True, 'passed: hears 80 %')
    """

    checks: tuple[Check, ...]
    moved: Moved
    beyond: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Say whether every check passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def sentence(self) -> str:
        """Return the decision: what refused it, or what was compared."""
        if self.passed:
            return "passed: " + "; ".join(c.sentence for c in self.checks if c.figures)
        failed = [check.sentence for check in self.checks if not check.passed]
        noted = [check.sentence for check in self.checks if check.passed and check.noted]
        return "refused: " + "; ".join(failed + noted)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "passed": self.passed,
            "sentence": self.sentence,
            "checks": [check.to_json() for check in self.checks],
            "moved": self.moved.to_json(),
            "beyond": [*self.beyond],
        }
