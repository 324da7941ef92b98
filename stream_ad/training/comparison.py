"""What a comparison of members found, and the rule that takes one of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

AS_GOOD = 0.005  # a mean AUC that is lower by at most so much counts as equal


@dataclass(frozen=True, slots=True)
class Heard:
    """What a member made of one kind of fault.

    Parameters
    ----------
    kind : str
    severity : float
    sensors : int
        How many of each window had it.
    recall : float
        Share of the faulty windows above the member's line.
    auc : float
        How often a faulty window outranks an untouched one; ties count one half.
    """

    kind: str
    severity: float
    sensors: int
    recall: float
    auc: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one member on the held-out windows.

    Parameters
    ----------
    model, scorer : str
    above : float
        Share of the untouched windows above its own line.
    asked : float
        The share that the line stands for.
    allowed : float
        The share that chance explains: asked, and two standard errors of the independent
        ones among the windows, at least one of these.
    heard : tuple of Heard
    """

    model: str
    scorer: str
    above: float
    asked: float
    allowed: float
    heard: tuple[Heard, ...]

    @property
    def name(self) -> str:
        """Return model and scorer."""
        return f"{self.model} + {self.scorer}"

    @property
    def within(self) -> bool:
        """Say whether the line held."""
        return self.above <= self.allowed

    @property
    def auc(self) -> float:
        """Return the mean over all faults."""
        return float(np.mean([fault.auc for fault in self.heard]))

    @property
    def recall(self) -> float:
        """Return the mean over all faults."""
        return float(np.mean([fault.recall for fault in self.heard]))


@dataclass(frozen=True, slots=True)
class Comparison:
    """All members on the same windows, and the one that is taken.

    Examples
    --------
    >>> def member(model, auc, above):
    ...     return Judged(model, "error", above, 0.01, 0.02, (Heard("spike", 3, 1, 0.5, auc),))
    >>> c = Comparison((member("linear", 0.900, 0), member("ae", 0.904, 0)), windows=40)
    >>> c.best.model, c.why
    ('linear', 'mean AUC 0.900, the plainest within 0.005 of the best (0.904)')
    >>> c = Comparison((member("linear", 0.8, 0), member("ae", 0.99, 0.3)), windows=40)
    >>> c.best.model, c.why
    ('linear', 'mean AUC 0.800, the highest of those whose line held')
    """

    members: tuple[Judged, ...]
    windows: int

    @property
    def best(self) -> Judged:
        """Return the first member whose mean AUC is within 0.005 of the highest.

        Asked are those whose line held on the untouched windows: that no more were above it
        than chance explains. Where none held, which is the machine's drift and not the
        member's, all are.
        """
        eligible = self._eligible
        highest = max(member.auc for member in eligible)
        return next(member for member in eligible if member.auc >= highest - AS_GOOD)

    @property
    def why(self) -> str:
        """Say in a sentence why it was taken."""
        highest = max(member.auc for member in self._eligible)
        said = f"mean AUC {self.best.auc:.3f}, "
        if self.best.auc < highest:
            said += f"the plainest within {AS_GOOD} of the best ({highest:.3f})"
        else:
            said += "the highest"
        if not self.best.within:
            said += "; no line held on the held-out windows"
        elif len(self._eligible) < len(self.members):
            said += " of those whose line held"
        return said

    @property
    def _eligible(self) -> list[Judged]:
        return [member for member in self.members if member.within] or list(self.members)

    def to_card(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        members = [
            asdict(m) | {"mean_auc": m.auc, "mean_recall": m.recall, "within": m.within}
            for m in self.members
        ]
        return {"taken": self.best.name, "why": self.why, "windows": self.windows} | {
            "members": members
        }
