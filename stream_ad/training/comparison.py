"""What a comparison of members found, and the rule that takes one of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stream_ad.config import DetectorConfig

DEFAULT = f"{DetectorConfig().model} + {DetectorConfig().scorer}"
# What replaces the default must be better in this share of the faults, and in the mean AUC by
MOST, GAIN = 0.75, 0.01


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

    @property
    def by_kind(self) -> dict[str, float]:
        """Return the mean AUC of each kind of fault."""
        kinds = dict.fromkeys(fault.kind for fault in self.heard)
        return {
            kind: float(np.mean([fault.auc for fault in self.heard if fault.kind == kind]))
            for kind in kinds
        }

    def hears_more(self, other: Judged) -> int:
        """Return in how many of the faults the AUC is higher than another's."""
        pairs = zip(self.heard, other.heard, strict=True)
        return sum(own.auc > theirs.auc for own, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All members on the same windows, and the one that is taken.

    Examples
    --------
    >>> def member(model, scorer, auc, above=0.0):
    ...     heard = tuple(Heard("spike", severity, 1, 0.5, auc) for severity in (3, 6, 9, 12))
    ...     return Judged(model, scorer, above, 0.01, 0.02, heard)
    >>> usual, other = member("linear", "joined", 0.90), member("ae", "joined", 0.95)
    >>> c = Comparison((usual, other), windows=40)
    >>> c.best.name, c.why
    ('ae + joined', 'mean AUC 0.950, better in 4 of the 4 faults than linear + joined, 0.900')
    >>> c = Comparison((usual, member("ae", "joined", 0.95, above=0.3)), windows=40)
    >>> c.best.name, c.why[16:]
    ('linear + joined', 'no other whose line held is better by 0.01 and in 3 of the 4 faults')
    """

    members: tuple[Judged, ...]
    windows: int

    @property
    def usual(self) -> Judged:
        """Return the default, which others have to beat; without it the first, the plainest."""
        return next((member for member in self.members if member.name == DEFAULT), self.members[0])

    @property
    def best(self) -> Judged:
        """Return the usual member, unless another is clearly better: of these the best by AUC.

        Clearly better is whose line held on the untouched windows, that is no more were above
        it than chance explains, and who has the higher AUC in three quarters of the faults and
        in the mean, there by more than 0.01. A higher mean alone says little: injected faults
        are not the machine's own, and who gains much in some kinds and loses in others is as
        often worse. The line of the usual member is not asked: one that breaks here mostly
        says that the machine moved, and to leave it for a member with a wide line cost more
        than it saved.
        """
        challengers = (m for m in self.members if self._clearly_better(m))
        return max(challengers, key=lambda member: member.auc, default=self.usual)

    @property
    def why(self) -> str:
        """Say in a sentence why it was taken."""
        best, usual = self.best, self.usual
        said, faults = f"mean AUC {best.auc:.3f}", len(usual.heard)
        if best is not usual:
            more = best.hears_more(usual)
            said += f", better in {more} of the {faults} faults than {usual.name}, "
            said += f"{usual.auc:.3f}"
        elif len(self.members) > 1:
            said += f"; no other whose line held is better by {GAIN} and in "
            said += f"{_most(faults)} of the {faults} faults"
        if not best.within:
            said += "; its line did not hold on the held-out windows"
        return said

    def _clearly_better(self, member: Judged) -> bool:
        usual = self.usual
        enough = member.hears_more(usual) >= _most(len(usual.heard))
        return member.within and enough and member.auc > usual.auc + GAIN

    def to_card(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        members = [
            asdict(m)
            | {
                "mean_auc": m.auc,
                "mean_recall": m.recall,
                "within": m.within,
                "hears_more": m.hears_more(self.usual),
            }
            for m in self.members
        ]
        return {
            "taken": self.best.name,
            "why": self.why,
            "usual": self.usual.name,
            "windows": self.windows,
            "members": members,
        }


def _most(faults: int) -> int:
    """Return in how many of the faults a member must be better to replace the usual one."""
    return math.ceil(MOST * faults)
