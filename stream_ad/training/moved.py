"""How far what machines show as normal has moved since an operator last vouched for it.

A fault that grows slowly enough, or that somebody feeds on purpose, is learned bit by bit. What
is learned therefore counts under a detector that never learned it, the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from stream_ad.training.injected import finite_scores, usable
from stream_ad.training.reference import FEWEST, GROUP, Normal, by_machine, days, heights
from stream_ad.windows import Windows

if TYPE_CHECKING:
    from stream_ad.detector import Detector

MOST_DAYS = 14
# windows that are scored, evenly spaced: of a machine and of all
LEAST, MOST, MOST_OF_ALL = 64, 512, 20_480
NONE = np.zeros(2)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Moved:
    """Where every machine stood at a promotion, by its median and by its highest tenth.

    Parameters
    ----------
    at : int
        Event time of the promotion in ns.
    total : dict of str to (float, float)
        Machine to how far its newest windows had moved upwards, in units of ``static_score``,
        since an operator last accepted what it shows; ``*`` is the group.
    zero : dict of str to (float, float)
        Machine to the static scores under the reference from which that is counted.
    reference : str
        Which reference that was; another one goes on where this one ended.

    Examples
    --------
    >>> Moved.from_json(Moved(5, {"m": (0.5, 0.6)}, {"m": (0.1, 0.4)}, "ab").to_json())
    Moved(at=5, total={'m': (0.5, 0.6)}, zero={'m': (0.1, 0.4)}, reference='ab')
    """

    at: int
    total: dict[str, Pair] = field(default_factory=dict)
    zero: dict[str, Pair] = field(default_factory=dict)
    reference: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "at": self.at,
            "total": {name: [*pair] for name, pair in self.total.items()},
            "zero": {name: [*pair] for name, pair in self.zero.items()},
            "reference": self.reference,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read back what `to_json` gave."""
        total, zero = (
            {name: (pair[0], pair[1]) for name, pair in record[key].items()}
            for key in ("total", "zero")
        )
        return cls(record["at"], total, zero, record["reference"])


class Account:
    """From where every machine is counted under a reference.

    Parameters
    ----------
    reference : Detector
    moved : Moved or None
        Of the last promotion; None counts from the end of what the reference learned.

    Attributes
    ----------
    key : str
        What tells the reference from another.
    moved : Moved
    """

    def __init__(self, reference: Detector, moved: Moved | None) -> None:
        self.normal, self.key = Normal(reference), str(reference.card["history"]["sha256"])
        self.moved = Moved(self.normal.until) if moved is None else moved
        self._same = self.moved.reference == self.key

    def before(self, machine: str) -> Floats:
        """Return how far a machine had moved at the last promotion, (2,)."""
        return np.array(self.moved.total.get(machine, NONE))

    def zero(self, machine: str) -> Floats:
        """Return the static scores from which a machine is counted, (2,).

        A reference that took over holds for normal what had moved by then: that still counts,
        or whoever accepts one machine would forgive all others. The group has no account of its
        own, since each machine counts there from where it is counted itself.
        """
        if machine == GROUP:
            return self.normal.zero[GROUP]
        if self._same and machine in self.moved.zero:
            return np.array(self.moved.zero[machine])
        return self.normal.zero.get(machine, self.normal.zero[GROUP]) - self.before(machine)

    def paced(self, machine: str) -> bool:
        """Say whether it is known where a machine was when the time began to count."""
        first = not self.moved.reference and machine in self.normal.zero
        return first or machine in self.moved.total


class Level(NamedTuple):
    """Where a machine stands under a reference.

    Parameters
    ----------
    at : float64 array (2,)
        Median and upper tenth of the static scores of a day, of the day with the highest.
    noise : float64 array (2,)
        By how much that wobbles where nothing moves.
    """

    at: Floats
    noise: Floats


def levels(
    reference: Detector,
    learned: Windows,
    max_missing: float,
    account: Account,
    exempt: frozenset[str],
) -> dict[str, Level]:
    """Return where each machine with enough windows, and the group, stand under a reference.

    What counts is the highest of the single days with windows after the last promotion, at most
    14; at least the newest day. Two weeks of old windows do not hide a new day, nor does a quiet
    day after them hide those before it.

    Parameters
    ----------
    reference : Detector
    learned : Windows
        Those that were learned as normal without anybody having said so, in any order.
    max_missing : float
        Windows with a larger share of missing cells are not scored.
    account : Account
    exempt : frozenset of str
        Machines that do not count for the group.

    Raises
    ------
    ModelError
        When the reference gives no finite scores.
    """
    kept = np.flatnonzero(usable([reference], learned, max_missing))  # a buffer is large: no copy
    start, rows = learned.start[kept], by_machine(learned.machine[kept])
    most = max(LEAST, min(MOST, MOST_OF_ALL // max(1, len(rows))))
    if others := [of for name, of in rows.items() if name not in exempt]:
        rows[GROUP] = np.concatenate(others)
    blocks = {name: _recent(start, of, account.moved.at) for name, of in rows.items()}
    picked = {name: _spaced(of, most) for name, of in blocks.items() if of}
    if not picked:
        return {}
    some = np.unique(np.concatenate([block for of in picked.values() for block in of]))
    raw = finite_scores(reference, learned.take(kept[some]), "reference")
    static, middle = np.full(len(kept), np.nan), np.zeros(len(kept))
    static[some] = reference.line_.static_score(raw)
    for name in rows.keys() - {GROUP}:
        middle[rows[name]] = account.zero(name)[0]
    found = {}
    for name, of in picked.items():
        scores = static - middle if name == GROUP else static
        sizes = zip(map(len, blocks[name]), map(len, of), strict=True)
        noise = [account.normal.noise(held, scored) for held, scored in sizes]
        at = [heights(scores[block]) for block in of]
        found[name] = Level(np.max(at, axis=0), np.max(noise, axis=0))
    return found


def _recent(start: Ints, rows: Ints, since: int) -> list[Ints]:
    """Return the rows of the days after a time; of the newest one anyway."""
    found: list[Ints] = []
    for block in days(start[rows]):
        if found and (start[rows[block]].max() <= since or len(found) == MOST_DAYS):
            break
        found.append(rows[block])
    return found


def _spaced(blocks: list[Ints], most: int) -> list[Ints]:
    """Return rows evenly spaced in every block, about so many together."""
    each = max(FEWEST, most // len(blocks))
    return [rows[np.unique(np.linspace(0, len(rows) - 1, each).astype(int))] for rows in blocks]
